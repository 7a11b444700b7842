// What does Kubernetes make of a schedule? What robfig/cron's ParseStandard does, here in few lines; a fork that
// has that package in its module would use its bit sets.
package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	never     = "never"
	fiveYears = 5 * 365 * 24 * time.Hour
	star      = 1 << 63
)

var (
	descriptors = map[string]string{
		"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
		"@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
	}
	bounds = [5]struct {
		low, high int
		names     string
	}{{0, 59, ""}, {0, 23, ""}, {1, 31, ""}, {1, 12, "jan feb mar apr may jun jul aug sep oct nov dec"},
		{0, 6, "sun mon tue wed thu fri sat"}}
	monthLengths = [13]int{0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}
)

func folded(text string) string { return strings.Join(strings.Fields(text), " ") }

// meaning returns a key that two schedules share exactly when they fire at the same instants for ever.
func meaning(text string) string {
	words := folded(text)
	switch {
	case utf8.RuneCountInString(text) > 256:
		refuse("too-long", "", "over 256 characters")
	case strings.Contains(text, "TZ"):
		refuse("time-zone", "", "a schedule may not name a time zone")
	case strings.IndexFunc(words, func(r rune) bool { return r < ' ' || r > '~' }) >= 0:
		refuse("unprintable", "", "not printable ASCII")
	case strings.HasPrefix(text, "@every "):
		every, err := time.ParseDuration(text[len("@every "):])
		if err != nil {
			refuse("syntax", "", "%v", err)
		}
		if every > fiveYears {
			return never
		}
		if every < time.Second {
			every = time.Second
		}
		return fmt.Sprint("every ", every/time.Second)
	case strings.HasPrefix(text, "@"):
		if words = descriptors[text]; words == "" {
			refuse("syntax", "", "%q is no descriptor", text)
		}
	}
	fields := strings.Fields(words)
	if len(fields) != len(bounds) {
		refuse("syntax", "", "expected 5 fields, found %d", len(fields))
	}
	var bits [5]uint64
	for i, field := range fields {
		for _, item := range strings.FieldsFunc(field, func(r rune) bool { return r == ',' }) {
			bits[i] |= itemBits(item, i)
		}
	}
	return calendar(bits)
}

// calendar writes down which days match. All weekdays fall on all dates, sooner or later.
func calendar(bits [5]uint64) string {
	has := func(field, n int) bool { return bits[field]>>n&1 == 1 }
	either := (bits[2]|bits[4])&star == 0
	days, some := []byte{}, false
	for month := 1; month <= 12; month++ {
		for day := 1; day <= monthLengths[month]; day++ {
			for weekday := 0; weekday < 7; weekday++ {
				matches := has(2, day) && has(4, weekday) || either && (has(2, day) || has(4, weekday))
				if matches = matches && has(3, month); matches {
					days, some = append(days, '+'), true
				} else {
					days = append(days, '-')
				}
			}
		}
	}
	minutes, hours := bits[0]&^star, bits[1]&^star
	if minutes == 0 || hours == 0 || !some {
		return never
	}
	return fmt.Sprint(minutes, " ", hours, " ", string(days))
}

func itemBits(item string, field int) uint64 {
	bound := bounds[field]
	span, stepText, stepped := strings.Cut(item, "/")
	ends := strings.Split(span, "-")
	low, high, step, bits := bound.low, bound.high, 1, uint64(star)
	if ends[0] != "*" && ends[0] != "?" {
		low, bits = number(ends[0], field), 0
		switch {
		case len(ends) > 2:
			refuse("syntax", "", "too many hyphens in %q", item)
		case len(ends) == 2:
			high = number(ends[1], field)
		case !stepped:
			high = low
		}
	}
	if stepped {
		if step = number(stepText, 0); step > 1 {
			bits = 0
		}
	}
	if low < bound.low || high > bound.high || low > high || step == 0 {
		refuse("syntax", "", "%q is out of range", item)
	}
	for n := low; n <= high && n >= low; n += step {
		bits |= 1 << n
	}
	return bits
}

// number reads an integer as Go does, or one of the field's names.
func number(text string, field int) int {
	for i, name := range strings.Fields(bounds[field].names) {
		if strings.EqualFold(name, text) {
			return bounds[field].low + i
		}
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		refuse("syntax", "", "%q is not a number", text)
	}
	return n
}
