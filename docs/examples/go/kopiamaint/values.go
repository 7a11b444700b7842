// SPDX-License-Identifier: Apache-2.0

package kopiamaint

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sort"
	"time"
)

// SourceRef names a ReplicationSource: its namespace (the tenant) and its name.
type SourceRef struct{ Namespace, Name string }

// String returns "namespace/name".
func (s SourceRef) String() string { return s.Namespace + "/" + s.Name }

func (s SourceRef) less(other SourceRef) bool {
	return s.Namespace < other.Namespace || s.Namespace == other.Namespace && s.Name < other.Name
}

func (s SourceRef) check() *Error {
	if refused := namespaceName.check(s.Namespace); refused != nil {
		return refused.at("namespace")
	}
	if refused := objectName.check(s.Name); refused != nil {
		return refused.at("name")
	}
	return nil
}

// CustomCA is the certificate authority that a repository's server is checked against; all empty: none.
type CustomCA struct {
	SecretName    string `json:"secretName,omitempty"`
	ConfigMapName string `json:"configMapName,omitempty"`
	Key           string `json:"key,omitempty"` // in the Secret or ConfigMap
}

type memberOfCA struct {
	key  string
	text *string
	kind kindOfName
}

func (ca *CustomCA) members() []memberOfCA {
	return []memberOfCA{
		{"secretName", &ca.SecretName, objectName}, {"configMapName", &ca.ConfigMapName, objectName}, {"key", &ca.Key, keyName},
	}
}

func (m memberOfCA) check() *Error {
	if *m.text == "" {
		return nil
	}
	if refused := m.kind.check(*m.text); refused != nil {
		return refused.at(m.key)
	}
	return nil
}

// Repository is a Kopia repository: the name of its Secret and its CA. Namespace and schedule are no part of it.
type Repository struct {
	SecretName string   `json:"repository"`
	CustomCA   CustomCA `json:"customCA"`
}

// Hash returns the identity: 16 hexadecimal digits.
func (r Repository) Hash() string {
	text, _ := json.Marshal(r) // strings in structs cannot fail
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])[:16]
}

// CronJobName returns the name of the one maintenance CronJob of this repository.
func (r Repository) CronJobName() string { return CronJobPrefix + r.Hash() }

// Request is what one source asks for.
type Request struct {
	Source     SourceRef
	Repository Repository
	Schedule   Schedule  // zero: no preference
	Enabled    bool      // whether the source takes part at all
	CreatedAt  time.Time // orders Reconcile; zero: unknown
}

func (r Request) check() *Error {
	refused := r.Source.check()
	if refused == nil {
		refused = objectName.check(r.Repository.SecretName)
	}
	for _, member := range r.Repository.CustomCA.members() {
		if refused == nil {
			refused = member.check()
		}
	}
	if refused == nil && r.Schedule.NeverFires() {
		refused = refuse(NeverFires, "the schedule %q never fires", r.Schedule.text)
	}
	if refused != nil {
		refused.Source, refused.SecretName = r.Source, r.Repository.SecretName
	}
	return refused
}

// Claim is what a source last asked for.
type Claim struct {
	Schedule Schedule  // zero: no preference
	Since    time.Time // when the source first asked for this, in whole seconds
	Rejected bool      // whether the claim is marked: a conflict
}

// Conflict is the record of a rejected claim.
type Conflict struct {
	Source   SourceRef
	Schedule Schedule
	Since    time.Time
	Policy   string // the name of the policy that rejects the claim
}

// Message returns the text of the annotation [ConflictAnnotation].
func (c Conflict) Message() string {
	return fmt.Sprintf("Last conflict: Schedule '%s' requested from namespace '%s' at %s (rejected - %s strategy)",
		c.Schedule, c.Source.Namespace, formatTime(c.Since), c.Policy)
}

func (c Conflict) equal(other Conflict) bool {
	return c.Source == other.Source && c.Schedule.Equal(other.Schedule) && c.Since.Equal(other.Since) && c.Policy == other.Policy
}

// State is what is stored on the maintenance CronJob of one repository. The functions of this package never change
// a state that they were given.
type State struct {
	RepositoryHash string
	SecretName     string // of the repository; "" where it is not known
	Schedule       Schedule
	Owner          string // the namespace whose word counts under first-wins; "" where it is not known
	Claims         map[SourceRef]Claim
	Policy         string // the name of the policy that rejects the marked claims; "" where none is marked
}

// CronJobName returns the CronJob's name.
func (s *State) CronJobName() string { return CronJobPrefix + s.RepositoryHash }

// Namespaces returns the namespaces that have a claim, sorted.
func (s *State) Namespaces() []string {
	var namespaces []string
	for _, source := range s.sources() {
		if last := len(namespaces) - 1; last < 0 || namespaces[last] != source.Namespace {
			namespaces = append(namespaces, source.Namespace)
		}
	}
	return namespaces
}

// Orphaned returns whether the owner has no claim: its schedule persists until somebody hands over.
func (s *State) Orphaned() bool {
	for source := range s.Claims {
		if source.Namespace == s.Owner {
			return false
		}
	}
	return s.Owner != ""
}

// Conflicts returns the records of the marked claims, by source.
func (s *State) Conflicts() []Conflict {
	if s == nil {
		return nil
	}
	var conflicts []Conflict
	for _, source := range s.sources() {
		if claim := s.Claims[source]; claim.Rejected {
			conflicts = append(conflicts, Conflict{source, claim.Schedule, claim.Since, s.Policy})
		}
	}
	return conflicts
}

// LatestConflict returns the conflict with the latest since (ties: the greatest source), nil where there is none.
func (s *State) LatestConflict() *Conflict {
	var latest *Conflict
	conflicts := s.Conflicts()
	for i := range conflicts {
		if latest == nil || !conflicts[i].Since.Before(latest.Since) {
			latest = &conflicts[i]
		}
	}
	return latest
}

// Equal returns whether two states are the same; schedules are compared by meaning.
func (s *State) Equal(other *State) bool {
	if s == nil || other == nil {
		return s == other
	}
	if s.RepositoryHash != other.RepositoryHash || s.SecretName != other.SecretName || s.Owner != other.Owner ||
		s.Policy != other.Policy || !s.Schedule.Equal(other.Schedule) || len(s.Claims) != len(other.Claims) {
		return false
	}
	for source, claim := range s.Claims {
		same, known := other.Claims[source]
		if !known || claim.Rejected != same.Rejected || !claim.Since.Equal(same.Since) || !claim.Schedule.Equal(same.Schedule) {
			return false
		}
	}
	return true
}

// sources returns the sources that have a claim, sorted.
func (s *State) sources() []SourceRef {
	sources := make([]SourceRef, 0, len(s.Claims))
	for source := range s.Claims {
		sources = append(sources, source)
	}
	sort.Slice(sources, func(i, j int) bool { return sources[i].less(sources[j]) })
	return sources
}

func (s *State) check() *Error {
	if refused := repositoryHash.check(s.RepositoryHash); refused != nil {
		return refused
	}
	if s.Schedule.IsZero() {
		return refuse(InvalidValue, "a state must have a schedule")
	}
	if s.Owner != "" {
		if refused := namespaceName.check(s.Owner); refused != nil {
			return refused.at("owner")
		}
	}
	if s.SecretName != "" {
		if refused := objectName.check(s.SecretName); refused != nil {
			return refused.at("secretName")
		}
	}
	for source, claim := range s.Claims {
		refused := source.check()
		if refused == nil {
			refused = claim.check()
		}
		if refused != nil {
			return refused.at("claims[" + source.String() + "]")
		}
	}
	return s.checkMarks()
}

// checkMarks refuses marks without the name of a policy, and the other way round.
func (s *State) checkMarks() *Error {
	for _, claim := range s.Claims {
		if claim.Rejected {
			return policyName.check(s.Policy)
		}
	}
	if s.Policy != "" {
		return refuse(InvalidValue, "the policy %.60q is named, and no claim is marked as rejected", s.Policy)
	}
	return nil
}

func (c Claim) check() *Error {
	if c.Schedule.NeverFires() {
		return refuse(NeverFires, "the schedule %q never fires", c.Schedule.text)
	}
	if c.Rejected && c.Schedule.IsZero() {
		return refuse(InvalidValue, "a claim without a preference cannot be rejected")
	}
	_, refused := wholeSeconds(c.Since)
	return refused
}
