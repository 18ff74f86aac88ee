package notify

// Event is one kind of thing worth a message. The words are those of notify.*.events.
type Event string

// The events.
const (
	Quarantine         Event = "quarantine"          // the cycles as a whole fail; entered, changed its reason, left
	RemovalsHeld       Event = "removals_held"       // the guard holds changes until somebody approves them
	OnCallHeld         Event = "on_call_held"        // a leaver keeps the account because Rootly would page them
	OnCallReleased     Event = "on_call_released"    // such a leaver goes though nobody covers the shift
	NoGoodCycle        Event = "no_good_cycle"       // the last good cycle is too long ago
	AnotherWriter      Event = "another_writer"      // somebody keeps turning back what is written
	CredentialsRefused Event = "credentials_refused" // the directory or Rootly's SCIM endpoint refuses the credentials
	ReloadRefused      Event = "reload_refused"      // a changed configuration is wrong; the old one runs on
	APIKeyRefused      Event = "api_key_refused"     // nobody can be asked who is on call
)

// Events lists all events, in the order in which the messages of one cycle are sent.
func Events() []Event {
	return []Event{
		Quarantine, CredentialsRefused, NoGoodCycle, OnCallReleased, OnCallHeld, RemovalsHeld, APIKeyRefused, AnotherWriter, ReloadRefused,
	}
}

// words are what every message of an event says, whatever brought it about.
type words struct {
	title     string // of a first message
	changed   string // when the cause is another one now, "" for events whose cause does not change
	recovered string // "" for events that happen once
	meaning   string // what it means for people on call
	relief    string // the same, once it is over
}

var wordsOf = map[Event]words{
	Quarantine: {
		title:     "The sync is in quarantine",
		changed:   "The sync is in quarantine for another reason",
		recovered: "The sync has left quarantine",
		meaning:   "Nothing is written to Rootly meanwhile: people who join get no pager, people who leave keep their access. Nobody loses the pager by this. Cycles run once a day until one is good.",
		relief:    "Cycles run as scheduled again. Nothing was removed in the first one; removals follow in the next.",
	},
	CredentialsRefused: {
		title:     "Credentials are refused",
		recovered: "The credentials are accepted again",
		meaning:   "No cycle can be good until this is mended: people who join get no pager, people who leave keep their access. Nobody loses the pager by this.",
		relief:    "Both sides were read in full.",
	},
	NoGoodCycle: {
		title:     "There has been no good cycle for too long",
		recovered: "There has been a good cycle again",
		meaning:   "Rootly falls behind the directory: people who join get no pager, people who leave keep their access. Nobody loses the pager by this.",
		relief:    "Rootly is up to date with the directory, except for what is held.",
	},
	OnCallReleased: {
		title:   "Leavers are deactivated though on call",
		meaning: "Their removal has waited as long as it may. Rootly no longer pages these people: make sure that somebody covers their shifts now.",
	},
	OnCallHeld: {
		title:     "Leavers are kept because they are on call",
		recovered: "Leavers are no longer kept for being on call",
		meaning:   "They keep their account and are paged until somebody else has the shift. The wait is bounded; after it they are deactivated.",
		relief:    "Their shifts are covered, their wait is over, or they are back in scope.",
	},
	RemovalsHeld: {
		title:     "Removals are held",
		recovered: "Held removals are settled",
		meaning:   "These people and groups keep what they have in Rootly, pager included, until somebody approves. Everything else goes on.",
		relief:    "They were approved and carried out, or are no longer planned.",
	},
	APIKeyRefused: {
		title:     "Rootly refuses the API key",
		recovered: "Rootly accepts the API key again",
		meaning:   "Nobody can be asked who is on call, so leavers are not protected as configured until the key is mended.",
		relief:    "Leavers who are on call are recognised again.",
	},
	AnotherWriter: {
		title:     "Something else writes to Rootly too",
		recovered: "Nothing else writes to Rootly any more",
		meaning:   "Two programs set these values in turn, often because the directory's own provisioning is still on. They are left as they are now; deactivations are carried out all the same.",
		relief:    "The values stay as they are written.",
	},
	ReloadRefused: {
		title:     "A changed configuration is refused",
		changed:   "A changed configuration is refused for another reason",
		recovered: "The configuration is valid again",
		meaning:   "The sync goes on with the configuration it had. The change has no effect, and a restart would fail.",
		relief:    "The changed configuration is in effect.",
	},
}
