// SPDX-License-Identifier: Apache-2.0

package kopiamaint

import "time"

const day = 24 * time.Hour

// gaps holds the shortest and the longest distance between two neighbours.
type gaps[T int | time.Duration] struct{ shortest, longest T }

func (g *gaps[T]) add(gap T) {
	if g.shortest == 0 || gap < g.shortest {
		g.shortest = gap
	}
	if gap > g.longest {
		g.longest = gap
	}
}

// Intervals returns the shortest and the longest time between two runs, exactly, over the 400-year cycle of the
// Gregorian calendar in UTC; zero and zero for a schedule that never fires, and for none.
//
// A gap lies within one day, or runs from the last run of one day to the first run of the next day that has any.
func (s Schedule) Intervals() (shortest, longest time.Duration) {
	m := s.meaning
	if m.every > 0 || m.minutes == 0 {
		return m.every, m.every
	}
	var all gaps[time.Duration]
	first, last := time.Duration(-1), time.Duration(0)
	for minute := 0; minute < 24*60; minute++ {
		if m.hours>>(minute/60)&1 == 1 && m.minutes>>(minute%60)&1 == 1 {
			run := time.Duration(minute) * time.Minute
			if first < 0 {
				first = run
			} else {
				all.add(run - last)
			}
			last = run
		}
	}
	days := m.daysApart()
	all.add(time.Duration(days.shortest)*day - (last - first))
	all.add(time.Duration(days.longest)*day - (last - first))
	return all.shortest, all.longest
}

// daysApart returns how far apart neighbouring days with runs are.
func (m meaning) daysApart() gaps[int] {
	var kinds [2][7]yearOfDays // a year is a leap year or not, and begins on one of seven weekdays
	for weekday := 0; weekday < 7; weekday++ {
		kinds[0][weekday], kinds[1][weekday] = m.yearOf(0, weekday), m.yearOf(1, weekday)
	}
	var apart gaps[int]
	lastDay, begin := -1, 0
	weekday := int(time.Saturday)                  // 1 January 2000
	for year := 2000; year <= 2000+400+8; year++ { // days with runs are at most 8 years apart
		leap := 0
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			leap = 1
		}
		if kind := kinds[leap][weekday]; kind.first >= 0 {
			if lastDay >= 0 {
				apart.add(begin + kind.first - lastDay)
			}
			if kind.last > kind.first {
				apart.add(kind.apart.shortest)
				apart.add(kind.apart.longest)
			}
			lastDay = begin + kind.last
		}
		begin, weekday = begin+365+leap, (weekday+365+leap)%7
	}
	return apart
}

// yearOfDays says which days of one of the 14 kinds of year have runs.
type yearOfDays struct {
	first, last int // counted from 1 January; first is negative where there is none
	apart       gaps[int]
}

func (m meaning) yearOf(leap, weekday int) yearOfDays {
	found, at := yearOfDays{first: -1}, 0
	for month := 1; month <= 12; month++ {
		length := monthLengths[month]
		if month == 2 {
			length = 28 + leap
		}
		for date := 1; date <= length; date++ {
			if m.matches(month, date, (weekday+at)%7) {
				if found.first < 0 {
					found.first = at
				} else {
					found.apart.add(at - found.last)
				}
				found.last = at
			}
			at++
		}
	}
	return found
}

func (m meaning) matches(month, date, weekday int) bool {
	byDate, byWeekday := m.days>>date&1 == 1, m.weekdays>>weekday&1 == 1
	if m.days == allDays || m.weekdays == allWeekdays {
		return m.months>>month&1 == 1 && byDate && byWeekday
	}
	return m.months>>month&1 == 1 && (byDate || byWeekday)
}
