package config

// OnCall says what becomes of people who leave while Rootly would page them. Without rootly.api_key
// nothing of it has an effect.
type OnCall struct {
	Policy  OnCallPolicy `json:"policy" enum:"hold,warn,ignore" doc:"hold leaves people who are on call, or have a shift soon, as they are until somebody else has it; warn says so and lets them go; ignore asks nobody. With state: none the default is warn. Without rootly.api_key nobody is asked about."`
	Horizon Duration     `json:"horizon" doc:"How far ahead a shift counts."`
	HoldMax HoldMax      `json:"hold_max" doc:"How long anybody is held at most."`
	Urgent  string       `json:"urgent,omitzero" doc:"A CEL condition over user: who is never held, such as user.attr(\"terminated\") == \"true\"."`
}

// HoldMax is how long people are held who are on call, by what the directory says of them.
type HoldMax struct {
	Disabled Duration `json:"disabled" doc:"Whom the directory disabled or deleted."`
	Other    Duration `json:"other" doc:"Everybody else, such as people who left the scope."`
}

// OnCallPolicy is what being on call means for somebody who leaves.
type OnCallPolicy string

// The policies.
const (
	OnCallHold   OnCallPolicy = "hold"
	OnCallWarn   OnCallPolicy = "warn"
	OnCallIgnore OnCallPolicy = "ignore"
)

// AsksRootly tells whether leavers are looked up in Rootly's REST API.
func (c *Config) AsksRootly() bool {
	return !c.Rootly.APIKey.IsZero() && c.OnCall.Policy != OnCallIgnore
}

// onCall completes the section on_call and checks it.
func (l *loader) onCall() {
	o := &l.cfg.OnCall
	_, given := l.origins["on_call.policy"]
	switch {
	case !given && l.cfg.State.None:
		o.Policy = OnCallWarn
	case o.Policy == OnCallHold && l.cfg.State.None:
		l.problem("on_call.policy", "is hold, which needs a ledger: without one nobody knows since when somebody is held, and state is none",
			"write warn or ignore, or give state a path")
	}
	for path, d := range map[string]Duration{
		"on_call.horizon": o.Horizon, "on_call.hold_max.disabled": o.HoldMax.Disabled, "on_call.hold_max.other": o.HoldMax.Other,
	} {
		if d <= 0 {
			l.problem(path, "is no time at all", "write a length of time, such as 48h or 7d; on_call.policy: warn holds nobody")
		}
	}
}
