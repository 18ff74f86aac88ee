package config

import (
	"strconv"
	"strings"
)

// A Share is a part of a whole between 0 and 1. It is written with a percent sign, "20%", because a bare 20 or 0.2
// could mean either.
type Share float64

// parseShare reads "20%" or "2.5%".
func parseShare(text string) (Share, error) {
	number, percent := strings.CutSuffix(strings.TrimSpace(text), "%")
	f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil {
		return 0, Problem{Text: "is not a share", Remedy: "write it with a percent sign, such as 20%"}
	}
	if !percent {
		if f > 0 && f < 1 {
			f *= 100
		}
		return 0, Problem{Text: "is a bare number", Remedy: "write " + Share(f/100).String()}
	}
	if !(f >= 0 && f <= 100) {
		return 0, Problem{Text: "is outside 0% to 100%", Remedy: "write a share between them, such as 20%"}
	}
	return Share(f / 100), nil
}

// String is the share in percent: "20%".
func (s Share) String() string {
	// Seven digits are more than anybody writes and hide what binary fractions make of 0.07·100.
	return strconv.FormatFloat(float64(s)*100, 'g', 7, 64) + "%"
}

// MarshalText is the share in percent.
func (s Share) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
