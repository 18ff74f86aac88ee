package sim

import (
	"fmt"
	"math/rand/v2"
)

// A name is one part of a person's name, as it is written and as it looks in a login.
type name struct {
	written, ascii string
}

var givenNames = []name{
	{"Amélie", "amelie"}, {"Björn", "bjorn"}, {"Chidi", "chidi"}, {"Dörte", "dorte"}, {"Elif", "elif"},
	{"Fatima", "fatima"}, {"Grace", "grace"}, {"Hana", "hana"}, {"Ines", "ines"}, {"José", "jose"},
	{"Kwame", "kwame"}, {"Léa", "lea"}, {"Mei", "mei"}, {"Niamh", "niamh"}, {"Oluwaseun", "oluwaseun"},
	{"Priya", "priya"}, {"Quentin", "quentin"}, {"Renée", "renee"}, {"Siân", "sian"}, {"Tomasz", "tomasz"},
	{"Ülkü", "ulku"}, {"Vikram", "vikram"}, {"Wanjiru", "wanjiru"}, {"Ximena", "ximena"}, {"Yusuf", "yusuf"},
	{"Zoë", "zoe"}, {"Anne-Marie", "anne-marie"}, {"太郎", "taro"}, {"小明", "xiaoming"}, {"Дмитрий", "dmitry"},
	{"Ελένη", "eleni"}, {"지우", "jiwoo"}, {"نور", "nour"}, {"Michael", "michael"}, {"Sarah", "sarah"},
}

var familyNames = []name{
	{"O'Connor", "oconnor"}, {"Müller", "mueller"}, {"García Márquez", "garcia-marquez"}, {"Nguyễn", "nguyen"},
	{"Smith", "smith"}, {"Okonkwo", "okonkwo"}, {"van den Berg", "vandenberg"}, {"Ó Súilleabháin", "osuilleabhain"},
	{"Patel", "patel"}, {"Kowalczyk", "kowalczyk"}, {"D'Angelo", "dangelo"}, {"Østergård", "ostergard"},
	{"Yılmaz", "yilmaz"}, {"Mbeki", "mbeki"}, {"Lindström", "lindstrom"}, {"佐藤", "sato"}, {"王", "wang"},
	{"Иванов", "ivanov"}, {"Παπαδόπουλος", "papadopoulos"}, {"김", "kim"}, {"حداد", "haddad"}, {"Çelik", "celik"},
	{"Fernández-López", "fernandez-lopez"}, {"Novák", "novak"}, {"Brown", "brown"}, {"Singh", "singh"},
	{"Silva", "silva"}, {"N'Diaye", "ndiaye"}, {"Johnson", "johnson"}, {"Ferreira", "ferreira"}, {"Šimić", "simic"},
}

var nickNames = []string{"Ace", "Bee", "Coco", "Dee", "Fitz", "Jojo", "Kit", "Max", "Sunny", "Zed"}

// A department is a share of the company with the titles its people carry.
type department struct {
	name   string
	weight int
	titles []string
}

var departments = []department{
	{"Engineering", 50, []string{"Software Engineer", "Senior Software Engineer", "Staff Engineer", "Engineering Manager"}},
	{"SRE", 12, []string{"Site Reliability Engineer", "Senior Site Reliability Engineer"}},
	{"Product", 8, []string{"Product Manager", "Product Analyst"}},
	{"Design", 5, []string{"Product Designer", "Researcher"}},
	{"Support", 10, []string{"Support Engineer", "Support Lead"}},
	{"Sales", 9, []string{"Account Executive", "Sales Engineer"}},
	{"Finance", 3, []string{"Accountant", "Controller"}},
	{"People", 3, []string{"Recruiter", "People Partner"}},
}

// groupNames are the teams a company founds first; larger companies go on with numbered ones.
var groupNames = []string{
	"oncall-payments", "oncall-platform", "eng-backend", "all-hands", "oncall-checkout", "eng-frontend", "oncall-data",
	"eng-sre", "oncall-mobile", "eng-data", "oncall-search", "eng-security", "oncall-identity", "design", "oncall-infra",
	"eng-mobile", "product", "oncall-messaging", "eng-platform", "support", "oncall-billing", "finance", "people",
	"sales", "managers",
}

func groupName(i int) string {
	if i < len(groupNames) {
		return groupNames[i]
	}
	return fmt.Sprintf("team-%04d", i)
}

// mobilePhone is a number from the ranges that telephone authorities keep for fiction, written as people write them:
// national American ones too, which only a reader with a default country understands. Some people have none.
func mobilePhone(rng *rand.Rand) string {
	n := rng.IntN(100)
	switch rng.IntN(7) {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf("(415) 555-01%02d", n)
	case 2:
		return fmt.Sprintf("212-555-01%02d", n)
	case 3:
		return fmt.Sprintf("+44 7700 900%03d", 100+n)
	case 4:
		return fmt.Sprintf("+33 6 39 98 10 %02d", n)
	case 5:
		return fmt.Sprintf("+61 491 570 1%02d", n)
	default:
		return fmt.Sprintf("+1206555%04d", 100+n)
	}
}
