// SPDX-License-Identifier: Apache-2.0

package kopiamaint

import "time"

// Policy answers one question: may this claim replace the established schedule?
//
// That only news changes anything, and that a schedule persists until somebody asks for something new, is the
// resolver's doing and holds for every policy. Equal states must get equal answers: a policy depends neither on how
// a schedule is spelt nor on the order of anything, keeps no memory, and changes nothing.
type Policy interface {
	// Name appears in the records: 1 to 63 lower-case letters, digits and hyphens.
	Name() string

	// Permits returns whether the claim of challenger, which asks for another schedule than the established one,
	// may replace it. The state has an owner, the challenger's claim, and no marks.
	Permits(state *State, challenger SourceRef) bool
}

// FirstWins is the default policy: the owner's namespace may, nobody else.
type FirstWins struct{}

// Name returns "first-wins".
func (FirstWins) Name() string { return "first-wins" }

// Permits returns whether the challenger is of the owner's namespace.
func (FirstWins) Permits(state *State, challenger SourceRef) bool {
	return challenger.Namespace == state.Owner
}

// Consensus permits what every source with a preference asks for.
type Consensus struct{}

// Name returns "consensus".
func (Consensus) Name() string { return "consensus" }

// Permits returns whether every claim that states a preference asks for the challenger's schedule.
func (Consensus) Permits(state *State, challenger SourceRef) bool {
	wanted := state.Claims[challenger].Schedule
	for _, claim := range state.Claims {
		if !claim.Schedule.IsZero() && !claim.Schedule.Equal(wanted) {
			return false
		}
	}
	return true
}

// Bounded permits what another policy permits, as long as the runs are neither too close nor too far apart.
// [NewBounded] makes one.
type Bounded struct {
	policy            Policy
	shortest, longest time.Duration
}

// NewBounded returns policy (nil: [FirstWins]) with bounds: no two runs may be closer than shortest, nor neighbouring
// ones further apart than longest. Zero leaves a bound out; one of them must be there. Bounds that no schedule meets
// and a name over 63 characters are refused.
func NewBounded(policy Policy, shortest, longest time.Duration) (Bounded, error) {
	bounded := Bounded{orFirstWins(policy), shortest, longest}
	switch {
	case shortest == 0 && longest == 0:
		return Bounded{}, refuse(InvalidValue, "a bounded policy needs a bound")
	case shortest != 0 && shortest < time.Second || longest != 0 && longest < time.Second:
		return Bounded{}, refuse(InvalidValue, "a bound must be at least one second, the shortest interval of all schedules")
	case longest != 0 && shortest > longest:
		return Bounded{}, refuse(InvalidValue, "no schedule has intervals of at least %v and at most %v", shortest, longest)
	}
	if refused := policyName.check(bounded.Name()); refused != nil {
		return Bounded{}, refused
	}
	return bounded, nil
}

// Name returns "bounded-" and the name of the inner policy.
func (b Bounded) Name() string { return "bounded-" + orFirstWins(b.policy).Name() }

// Permits returns whether the challenger's schedule keeps the bounds and the inner policy permits it.
func (b Bounded) Permits(state *State, challenger SourceRef) bool {
	shortest, longest := state.Claims[challenger].Schedule.Intervals()
	return shortest >= b.shortest && (b.longest == 0 || longest <= b.longest) &&
		orFirstWins(b.policy).Permits(state, challenger)
}

// PolicyByName returns the policy "first-wins" or "consensus"; any other name is refused.
func PolicyByName(name string) (Policy, error) {
	for _, policy := range []Policy{FirstWins{}, Consensus{}} {
		if policy.Name() == name {
			return policy, nil
		}
	}
	return nil, refuse(InvalidValue, "the policy %.60q is not known, first-wins and consensus are", name)
}

func orFirstWins(policy Policy) Policy {
	if policy == nil {
		return FirstWins{}
	}
	return policy
}
