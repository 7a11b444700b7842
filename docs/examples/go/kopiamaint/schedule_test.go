// SPDX-License-Identifier: Apache-2.0

package kopiamaint

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/robfig/cron/v3"
)

func mustSchedule(t testing.TB, text string) Schedule {
	t.Helper()
	if text == "" {
		return Schedule{}
	}
	schedule, err := ParseSchedule(text)
	if err != nil {
		t.Fatal(err)
	}
	return schedule
}

func TestSchedulesAreEqualByMeaning(t *testing.T) {
	for _, test := range []struct{ one, other, canonical string }{
		{"@daily", "0 0 * * *", "0 0 * * *"},
		{"00  2 *\t* ?", "0 2 * * *", "0 2 * * *"},
		{"*/1 * * * *", "0-59 * * * *", "* * * * *"},
		{"0 0 * * 0-6", "0 0 1-31 * *", "0 0 * * *"},
		{"0 0 31 * *", "0 0 31 1,3,5,7,8,10,12 *", "0 0 31 * *"},
		{"0 0 1-29 2 *", "0 0 * feb *", "0 0 * 2 *"},
		{"0 0 30,1 2 *", "0 0 1 2 *", "0 0 1 2 *"},
		{"0 0 , * 1", "0 0 * * mon", "0 0 * * 1"},
		{"0 0 1-31/1 * 1", "0 0 * * 0-6", "0 0 * * *"}, // either day field is enough, and one is full
		{"0 0 *,1 * 1", "0 0 * * 1", "0 0 * * 1"},      // a star: both must match
		{"0 0 13 * 5", "0 0 13 1-12 FRI", "0 0 13 * 5"},
		{"@every 90s", "@every 1m30s", "@every 90s"},
		{"@every -1h", "@every 1s", "@every 1s"},
		{"0 0 30 2 *", "0 , * * *", "0 0 30 2 *"},
		{"@every 43801h", "0 0 31 4,6 *", "0 0 30 2 *"},
	} {
		one, other := mustSchedule(t, test.one), mustSchedule(t, test.other)
		if !one.Equal(other) || one.Canonical() != test.canonical || other.Canonical() != test.canonical {
			t.Errorf("%q is %q, %q is %q, not both %q", test.one, one.Canonical(), test.other, other.Canonical(), test.canonical)
		}
	}
	if mustSchedule(t, "0 0 30 2 *").Equal(Schedule{}) {
		t.Error("a schedule that never fires is no preference")
	}
}

func TestRefusedSchedules(t *testing.T) {
	for text, code := range map[string]Code{
		"":                                      Syntax,
		"0 2 * *":                               Syntax,
		"0 24 * * *":                            Syntax,
		"0 0 L * *":                             Syntax,
		"@Daily":                                Syntax,
		" @daily":                               Syntax,
		"@every 1d":                             Syntax,
		"TZ=":                                   TimeZone,
		"CRON_TZ=Europe/Berlin 0 2 * * *":       TimeZone,
		"0 2 * * *\x00":                         Unprintable,
		"0 2 * * é":                             Unprintable,
		"0 2 * * 1" + strings.Repeat(",1", 124): TooLong,
	} {
		_, err := ParseSchedule(text)
		var refused *Error
		if !errors.As(err, &refused) || refused.Code != code {
			t.Errorf("%q: %v, not %s", text, err, code)
		}
	}
	if _, err := ParseSchedule("0 0 1 * 8"); !strings.HasPrefix(err.Error(), "day-of-week: ") {
		t.Errorf("%v does not name the field", err)
	}
}

func TestIntervals(t *testing.T) {
	for text, want := range map[string][2]time.Duration{
		"0 2 * * *":        {day, day},
		"*/7 * * * *":      {4 * time.Minute, 7 * time.Minute},
		"0 0 29 2 *":       {1461 * day, 2921 * day},
		"0 0 31 * *":       {31 * day, 61 * day},
		"0 0 31 12 *":      {365 * day, 366 * day},
		"0 23,0 * * 1":     {23 * time.Hour, 7*day - 23*time.Hour},
		"0 0 13 * 5":       {day, 7 * day},
		"@every 90s":       {90 * time.Second, 90 * time.Second},
		"0 0 30 2 *":       {},
		"59 23 31 12 *":    {365 * day, 366 * day},
		"0 0,23 31 12,1 *": {23 * time.Hour, 335*day - 23*time.Hour},
	} {
		shortest, longest := mustSchedule(t, text).Intervals()
		if got := [2]time.Duration{shortest, longest}; got != want {
			t.Errorf("%q: %v, not %v", text, got, want)
		}
	}
}

// FuzzSchedule holds the meaning against robfig/cron itself: no panic; a canonical text that means the same and is
// its own; equal exactly when the same days, hours and minutes match; and then the same next runs.
func FuzzSchedule(f *testing.F) {
	for _, text := range []string{
		"0 2 * * *", "@daily", "@every 1h30m", "*/7 0-23/2 1,15 jan-mar mon", "0 0 31 2 *", "0 0 29 2 1", "0 0 , * *",
		"? ? *-5/2 * *", "TZ=UTC 0 2 * * *", "0 0 30 4,2 *", "0 0 */2 * 1", "1 1 1 1 1", "@every 99999h",
	} {
		f.Add(text, "0 0 * * *")
		f.Add("0 0 1-31 * *", text)
	}
	f.Fuzz(func(t *testing.T, text, other string) {
		one, err := ParseSchedule(text)
		if err != nil {
			return
		}
		canonical := mustSchedule(t, one.Canonical())
		if !one.Equal(canonical) || canonical.Canonical() != one.Canonical() {
			t.Errorf("%q is spelt %q, which is %q", text, one.Canonical(), canonical.Canonical())
		}
		compare(t, one, canonical)
		if two, err := ParseSchedule(other); err == nil {
			compare(t, one, two)
		}
		shortest, longest := one.Intervals()
		if one.NeverFires() != (longest == 0) || shortest > longest {
			t.Errorf("%q: intervals of %v to %v", text, shortest, longest)
		}
	})
}

func compare(t *testing.T, one, other Schedule) {
	if one.NeverFires() || other.NeverFires() {
		return // robfig/cron's own limit is five years from now, ours is the calendar
	}
	parsed, _ := cron.ParseStandard(one.text)
	another, _ := cron.ParseStandard(other.text)
	if same := matching(parsed) == matching(another); same != one.Equal(other) {
		t.Errorf("%q and %q: match the same: %v, equal: %v", one, other, same, one.Equal(other))
	}
	if !one.Equal(other) {
		return
	}
	for _, at := range []time.Time{
		time.Date(2024, 2, 28, 23, 59, 59, 0, time.UTC), time.Date(2099, 12, 31, 5, 6, 7, 0, time.UTC),
		time.Date(1999, 7, 15, 12, 0, 0, 0, time.UTC),
	} {
		for i := 0; i < 3; i++ {
			next := parsed.Next(at)
			if !next.Equal(another.Next(at)) {
				t.Fatalf("after %v: %q runs at %v, %q at %v", at, one, next, other, another.Next(at))
			}
			if shortest, longest := one.Intervals(); i > 0 && !next.IsZero() && (next.Sub(at) < shortest || next.Sub(at) > longest) {
				t.Fatalf("%q runs at %v and %v: not %v to %v apart", one, at, next, shortest, longest)
			}
			at = next
		}
	}
}

// matching writes down every day, hour and minute that matches, as robfig/cron's Next looks at them.
func matching(schedule cron.Schedule) string {
	spec, isCalendar := schedule.(*cron.SpecSchedule)
	if !isCalendar {
		return schedule.(cron.ConstantDelaySchedule).Delay.String()
	}
	days := &strings.Builder{}
	for month := 1; month <= 12; month++ {
		for date := 1; daysOf(month)>>date&1 == 1; date++ {
			for weekday := 0; weekday < 7; weekday++ {
				byDate, byWeekday := spec.Dom>>date&1 == 1, spec.Dow>>weekday&1 == 1
				matches := byDate && byWeekday || (spec.Dom|spec.Dow)&star == 0 && (byDate || byWeekday)
				if matches && spec.Month>>month&1 == 1 {
					days.WriteByte('+')
				} else {
					days.WriteByte('-')
				}
			}
		}
	}
	return fmt.Sprint(spec.Minute&allMinutes, spec.Hour&allHours, days)
}
