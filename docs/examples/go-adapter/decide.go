// Whose schedule stands? The rules, as docs/semantics.md has them.
package main

import (
	"sort"
	"time"
)

const defaultSchedule = "0 2 * * *"

type source struct{ namespace, name string }

func (s source) less(other source) bool {
	return s.namespace < other.namespace || s.namespace == other.namespace && s.name < other.name
}

// claim is what a source last asked for, and since when; no schedule: no preference.
type claim struct{ schedule, since string }

type conflict struct{ namespace, name, schedule, since, policy string }

type state struct {
	hash, repository, schedule, owner string
	claims                            map[source]claim
	conflict                          *conflict
}

type request struct {
	source
	hash, repository, schedule string
	enabled                    bool
	created                    *time.Time
}

// same says whether two schedules, or the lack of them, mean the same.
func same(one, other string) bool {
	if one == "" || other == "" {
		return one == other
	}
	return meaning(one) == meaning(other)
}

// permits says whether the challenger's claim, which differs from what stands, may replace it.
func (s *state) permits(challenger source, policy string) bool {
	if policy == "first-wins" {
		return challenger.namespace == s.owner
	}
	for _, claim := range s.claims {
		if claim.schedule != "" && !same(claim.schedule, s.claims[challenger].schedule) {
			return false
		}
	}
	return true
}

// standing says how a claim fares against what stands.
func (s *state) standing(who source, policy string) string {
	wanted := s.claims[who].schedule
	switch {
	case wanted == "" || same(wanted, s.schedule):
		return "agreed"
	case s.permits(who, policy):
		return "superseded"
	}
	return "rejected"
}

// settle derives the latest conflict: that of a claim, or else the inherited one, if nothing contradicts it.
func (s *state) settle(inherited *conflict, policy string) {
	s.conflict = nil
	heard := map[string]bool{s.owner: true}
	var latest source
	for who, claim := range s.claims {
		heard[who.namespace] = true
		if s.standing(who, policy) != "rejected" {
			continue
		}
		if c := s.conflict; c == nil || claim.since > c.since || claim.since == c.since && latest.less(who) {
			latest, s.conflict = who, &conflict{who.namespace, who.name, claim.schedule, claim.since, policy}
		}
	}
	if s.conflict == nil && inherited != nil && !heard[inherited.namespace] && !same(inherited.schedule, s.schedule) {
		s.conflict = inherited
	}
}

// copied returns a state whose claims can be changed, and the conflict that only an annotation tells of.
func copied(current *state) (*state, *conflict) {
	if current == nil {
		return nil, nil
	}
	next := *current
	next.claims = map[source]claim{}
	for who, claim := range current.claims {
		next.claims[who] = claim
	}
	if current.conflict == nil || current.conflict.name != "" {
		return &next, nil
	}
	return &next, current.conflict
}

func checkRepository(current *state, asks request) {
	if current != nil && asks.hash != current.hash {
		refuse("repository-mismatch", "", "%s is about another repository", asks.name)
	}
}

func resolve(current *state, asks request, now time.Time, policy string) (string, *state) {
	checkRepository(current, asks)
	next, inherited := copied(current)
	next, verdict := apply(next, asks, now, policy)
	if next != nil {
		next.settle(inherited, policy)
	}
	return verdict, next
}

// apply follows the table of rules. It changes next.
func apply(next *state, asks request, now time.Time, policy string) (*state, string) {
	if !asks.enabled {
		if next != nil {
			delete(next.claims, asks.source)
		}
		return next, "disabled"
	}
	since := now.Format(time.RFC3339)
	wanted := asks.schedule
	if next == nil {
		first := map[source]claim{asks.source: {wanted, since}}
		if wanted == "" {
			wanted = defaultSchedule
		}
		return &state{asks.hash, asks.repository, wanted, asks.namespace, first, nil}, "established"
	}
	known, claimed := next.claims[asks.source]
	news := !claimed || !same(known.schedule, wanted)
	if news {
		next.claims[asks.source] = claim{wanted, since}
		next.repository = asks.repository
	}
	differs := wanted != "" && !same(wanted, next.schedule)
	switch {
	case next.owner == "" && !differs:
		next.owner = asks.namespace
		return next, "agreed"
	case !differs:
		return next, "agreed"
	case next.owner != "" && !next.permits(asks.source, policy):
		return next, "rejected"
	case next.owner != "" && !news:
		return next, "superseded"
	}
	next.schedule, next.owner = wanted, asks.namespace
	return next, "established"
}

func reconcile(
	current *state, requests []request, unreadable map[source]bool, now time.Time, policy string,
) (map[source]string, *state) {
	sort.Slice(requests, func(i, j int) bool {
		one, other := requests[i], requests[j]
		switch {
		case one.created == nil || other.created == nil:
			if (one.created == nil) != (other.created == nil) {
				return other.created == nil
			}
		case !one.created.Equal(*other.created):
			return one.created.Before(*other.created)
		}
		return one.source.less(other.source)
	})
	verdicts := map[source]string{}
	stays := map[source]bool{}
	for who := range unreadable {
		verdicts[who], stays[who] = "unreadable", true
	}
	for _, asks := range requests {
		checkRepository(current, asks)
		if asks.hash != requests[0].hash {
			refuse("repository-mismatch", "", "the requests are about two repositories")
		}
		if verdicts[asks.source] != "" {
			refuse("invalid-value", "", "the source %s is listed twice", asks.name)
		}
		verdicts[asks.source] = "disabled"
		if asks.enabled {
			stays[asks.source] = true
		}
	}
	next, _ := copied(current)
	if next != nil {
		for who := range next.claims {
			if !stays[who] {
				delete(next.claims, who)
			}
		}
	}
	for _, asks := range requests {
		if asks.enabled {
			next, _ = apply(next, asks, now, policy)
		}
	}
	if next == nil || len(stays) == 0 {
		return verdicts, nil
	}
	next.settle(nil, policy)
	for who := range next.claims {
		if !unreadable[who] {
			verdicts[who] = next.standing(who, policy)
		}
	}
	return verdicts, next
}
