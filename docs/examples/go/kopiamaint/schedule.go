// SPDX-License-Identifier: Apache-2.0

package kopiamaint

import (
	"fmt"
	"math/bits"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/robfig/cron/v3"
)

// DefaultSchedule applies where nobody states a preference: 02:00 every day.
const DefaultSchedule = "0 2 * * *"

const (
	longestSchedule = 256
	star            = 1 << 63                  // robfig/cron's mark of a field with a star in it
	fiveYears       = 5 * 365 * 24 * time.Hour // a longer @every counts as one that never fires
	neverFires      = "0 0 30 2 *"

	allMinutes  = 1<<60 - 1
	allHours    = 1<<24 - 1
	allDays     = 1<<32 - 1<<1
	allMonths   = 1<<13 - 1<<1
	allWeekdays = 1<<7 - 1
)

// Schedule is a maintenance schedule, read as Kubernetes reads it. The zero value is no schedule: no preference.
type Schedule struct {
	text    string
	meaning meaning
}

// meaning is equal for two schedules exactly when they fire at the same instants, in every zone without transitions.
// It is an interval or the bit sets of a calendar, and zero where no date ever matches. A day matches when both of
// its fields do, where one of them is full; else when either does.
type meaning struct {
	every                                  time.Duration
	minutes, hours, days, months, weekdays uint64
}

// ParseSchedule reads what Kubernetes accepts as spec.schedule of a CronJob, with cron.ParseStandard, as the API
// server does. Refused are also: time zones (as the API server does), more than 256 characters, and what is not
// printable ASCII. A schedule that never fires is read; a request for one is refused.
func ParseSchedule(text string) (Schedule, error) { return plainly(parseSchedule(text)) }

func parseSchedule(text string) (Schedule, *Error) {
	folded := strings.Join(strings.Fields(text), " ")
	switch {
	case utf8.RuneCountInString(text) > longestSchedule:
		return Schedule{}, refuse(TooLong, "the schedule has over %d characters", longestSchedule)
	case strings.Contains(folded, "TZ"):
		return Schedule{}, refuse(TimeZone, "a schedule may not name a time zone, a CronJob has spec.timeZone for it")
	case strings.IndexFunc(folded, func(r rune) bool { return r < ' ' || r > '~' }) >= 0:
		return Schedule{}, refuse(Unprintable, "%q is not printable ASCII", folded)
	}
	parsed, err := cron.ParseStandard(text)
	if err != nil {
		return Schedule{}, refuse(Syntax, "%s%v", faultyField(folded), err)
	}
	switch parsed := parsed.(type) {
	case cron.ConstantDelaySchedule:
		if parsed.Delay > fiveYears {
			return Schedule{text: folded}, nil
		}
		return Schedule{folded, meaning{every: parsed.Delay}}, nil
	case *cron.SpecSchedule:
		return Schedule{folded, calendar(parsed)}, nil
	}
	return Schedule{}, refuse(Syntax, "robfig/cron answers with a %T", parsed)
}

// faultyField names the first field that robfig/cron refuses, whose errors do not say which one it is.
func faultyField(text string) string {
	fields := strings.Fields(text)
	names := []string{"minute", "hour", "day-of-month", "month", "day-of-week"}
	if len(fields) != len(names) {
		return ""
	}
	for i, name := range names {
		alone := []string{"*", "*", "*", "*", "*"}
		alone[i] = fields[i]
		if _, err := cron.ParseStandard(strings.Join(alone, " ")); err != nil {
			return name + ": "
		}
	}
	return ""
}

// calendar reduces bit sets to those that all schedules with the same runs share.
func calendar(spec *cron.SpecSchedule) meaning {
	either := (spec.Dom|spec.Dow)&star == 0
	m := meaning{
		minutes: spec.Minute & allMinutes, hours: spec.Hour & allHours,
		days: spec.Dom & allDays, months: spec.Month & allMonths, weekdays: spec.Dow & allWeekdays,
	}
	var possible, barren uint64 // days that one of the months has; months that have none of the days
	for month := 1; month <= 12; month++ {
		if m.months>>month&1 == 1 {
			possible |= daysOf(month)
		}
		if m.days&daysOf(month) == 0 {
			barren |= 1 << month
		}
	}
	if m.days &= possible; m.days == possible {
		m.days = allDays
	}
	if either { // a full field leaves nothing to the other, an empty one everything
		switch {
		case m.days == allDays || m.weekdays == allWeekdays:
			m.days, m.weekdays = allDays, allWeekdays
		case m.days == 0 && m.weekdays != 0:
			m.days = allDays
		case m.weekdays == 0 && m.days != 0:
			m.weekdays = allWeekdays
		}
	}
	if m.minutes == 0 || m.hours == 0 || m.days == 0 || m.months == 0 || m.weekdays == 0 {
		return meaning{}
	}
	if m.weekdays == allWeekdays && m.days != allDays {
		if m.months &^= barren; m.months|barren == allMonths {
			m.months = allMonths
		}
	}
	return m
}

// monthLengths are the most days that each month can have.
var monthLengths = [13]int{0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

func daysOf(month int) uint64 { return 1<<(monthLengths[month]+1) - 2 }

// String returns the schedule as written, white space folded.
func (s Schedule) String() string { return s.text }

// IsZero returns whether this is no schedule: no preference.
func (s Schedule) IsZero() bool { return s.text == "" }

// Equal returns whether both fire at the same instants, however they are spelt, or both are no schedule.
func (s Schedule) Equal(other Schedule) bool {
	return s.meaning == other.meaning && s.IsZero() == other.IsZero()
}

// NeverFires returns whether no date ever matches, as for 30 February.
func (s Schedule) NeverFires() bool { return !s.IsZero() && s.meaning == meaning{} }

// Canonical returns the one spelling that all equal schedules share: "" for no schedule.
func (s Schedule) Canonical() string {
	m := s.meaning
	switch {
	case s.IsZero():
		return ""
	case s.NeverFires():
		return neverFires
	case m.every > 0:
		return fmt.Sprintf("@every %ds", m.every/time.Second)
	}
	return strings.Join([]string{
		spell(m.minutes, allMinutes), spell(m.hours, allHours),
		spell(m.days, allDays), spell(m.months, allMonths), spell(m.weekdays, allWeekdays),
	}, " ")
}

// spell writes a set of numbers: a star for all of them, three and more in a row as a range.
func spell(set, all uint64) string {
	if set == all {
		return "*"
	}
	var items []string
	for set != 0 {
		low := bits.TrailingZeros64(set)
		row := bits.TrailingZeros64(^(set >> low))
		switch high := low + row - 1; {
		case row > 2:
			items = append(items, fmt.Sprintf("%d-%d", low, high))
		case row == 2:
			items = append(items, fmt.Sprintf("%d,%d", low, high))
		default:
			items = append(items, fmt.Sprint(low))
		}
		set &^= (1<<row - 1) << low
	}
	return strings.Join(items, ",")
}
