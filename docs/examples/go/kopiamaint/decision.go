// SPDX-License-Identifier: Apache-2.0

package kopiamaint

import "fmt"

// Verdict says what became of a request.
type Verdict string

// The verdicts. Unreadable is one of Reconcile and Plan only.
const (
	Established Verdict = "established" // it changed the schedule, or created the CronJob
	Agreed      Verdict = "agreed"      // it has no preference, or asks for the established schedule
	Superseded  Verdict = "superseded"  // it asks for another schedule, but not anew
	Rejected    Verdict = "rejected"    // it asks for another schedule, and the policy does not permit it
	Disabled    Verdict = "disabled"    // it takes no part
	Unreadable  Verdict = "unreadable"  // it cannot be read; what it asked for before stands
)

// Action says what became of the state, or what a [Write] does.
type Action string

// The actions.
const (
	None   Action = "none"
	Create Action = "create"
	Update Action = "update"
	Delete Action = "delete"
)

// Decision is a state before and after; nil: no CronJob.
type Decision struct {
	Current *State
	Desired *State // the same pointer as Current where nothing changed
}

// Action returns what became of the state. Whether the cluster needs a write is [WriteFor]'s to say.
func (d Decision) Action() Action {
	switch {
	case d.Current.Equal(d.Desired):
		return None
	case d.Current == nil:
		return Create
	case d.Desired == nil:
		return Delete
	}
	return Update
}

// Opened returns the conflicts that began with this decision: each deserves an Event.
func (d Decision) Opened() []Conflict { return without(d.Desired.Conflicts(), d.Current.Conflicts()) }

// Closed returns the conflicts that ended with this decision.
func (d Decision) Closed() []Conflict { return without(d.Current.Conflicts(), d.Desired.Conflicts()) }

func without(conflicts, others []Conflict) []Conflict {
	known := map[SourceRef]Conflict{}
	for _, other := range others {
		known[other.Source] = other
	}
	var left []Conflict
	for _, conflict := range conflicts {
		if !conflict.equal(known[conflict.Source]) {
			left = append(left, conflict)
		}
	}
	return left
}

// Resolution is the decision about one request.
type Resolution struct {
	Decision
	Request  Request
	Verdict  Verdict
	Conflict *Conflict // the record of the rejection; nil where the verdict is not Rejected
}

// Standing returns how the source stands now.
func (r Resolution) Standing() Standing { return standing(r.Request, r.Desired) }

// Reconciliation is the decision about all sources of one repository.
type Reconciliation struct {
	Decision
	Repository *Repository // nil where only the CronJob is known
	Standings  map[SourceRef]Standing
}

// Standing says how a source fares, in the words of a Kubernetes condition.
type Standing struct {
	Verdict  Verdict // "" where the CronJob is withheld
	Reason   string  // Agreed, Superseded, Rejected, Disabled, Unreadable or Withheld
	Message  string  // one sentence, at most 1,024 characters
	Conflict *Conflict
}

// standing returns how a source that is enabled and has a claim stands, or a disabled one.
func standing(request Request, state *State) Standing {
	if !request.Enabled || state == nil {
		return Standing{Disabled, "Disabled", "Disabled: the source takes no part in the repository's maintenance.", nil}
	}
	claim, job := state.Claims[request.Source], state.CronJobName()
	switch {
	case claim.Rejected:
		return Standing{Rejected, "Rejected", fmt.Sprintf(
			"Rejected by %s: schedule '%s' is not used, '%s' of %s is established (owner: namespace %s).",
			state.Policy, claim.Schedule, state.Schedule, job, state.Owner), state.conflict(request.Source)}
	case claim.Schedule.IsZero():
		return Standing{Agreed, "Agreed", fmt.Sprintf(
			"Agreed: no preference, schedule '%s' of %s is established.", state.Schedule, job), nil}
	case claim.Schedule.Equal(state.Schedule):
		return Standing{Agreed, "Agreed", fmt.Sprintf("Agreed: schedule '%s' of %s is established.", state.Schedule, job), nil}
	}
	return Standing{Superseded, "Superseded", fmt.Sprintf(
		"Superseded: schedule '%s' was asked for before, '%s' of %s is established."+
			" To ask again, ask for something else first, or disable and enable the source.",
		claim.Schedule, state.Schedule, job), nil}
}

func (s *State) conflict(source SourceRef) *Conflict {
	if s == nil || !s.Claims[source].Rejected {
		return nil
	}
	claim := s.Claims[source]
	return &Conflict{source, claim.Schedule, claim.Since, s.Policy}
}

func unreadable(cause error, conflict *Conflict) Standing {
	return Standing{Unreadable, "Unreadable", note("Unreadable: ", cause), conflict}
}

func withheld(cause error) Standing {
	return Standing{"", "Withheld", note("Withheld: the repository's CronJob stays as it is: ", cause), nil}
}

// note returns a text of at most 1,024 characters, as an Event's note may have.
func note(reason string, cause error) string {
	text := []rune(reason + cause.Error())
	if len(text) > 1024 {
		text = text[:1024]
	}
	return string(text)
}
