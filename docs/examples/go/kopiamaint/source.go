// SPDX-License-Identifier: Apache-2.0

package kopiamaint

import (
	"strings"
	"time"
)

const group = "volsync.backube"

// Source is what this package reads of a ReplicationSource, for code that has a typed one.
type Source struct {
	Namespace, Name string
	CreatedAt       time.Time // metadata.creationTimestamp
	Deleting        bool      // whether there is a metadata.deletionTimestamp
	Kopia           *Kopia    // spec.kopia
}

// Kopia is what this package reads of spec.kopia.
type Kopia struct {
	Repository              string // the name of the repository's Secret
	CustomCA                CustomCA
	MaintenanceCronJob      *MaintenanceCronJob
	MaintenanceIntervalDays *int64 // deprecated
}

// MaintenanceCronJob is spec.kopia.maintenanceCronJob.
type MaintenanceCronJob struct {
	Enabled  *bool  // nil: true
	Schedule string // "": the default
}

// Request returns what the source asks for: see [ReadRequest].
func (s Source) Request() (*Request, error) { return ReadRequest(s.Object()) }

// Object returns the source as [ReadRequest] and [Cluster] take it.
func (s Source) Object() Object {
	metadata, spec := Object{"namespace": s.Namespace, "name": s.Name}, Object{}
	if !s.CreatedAt.IsZero() {
		metadata["creationTimestamp"] = formatTime(s.CreatedAt)
	}
	if s.Deleting {
		metadata["deletionTimestamp"] = true
	}
	if kopia := s.Kopia; kopia != nil {
		ca := kopia.CustomCA
		read := Object{
			"repository": kopia.Repository,
			"customCA":   Object{"secretName": ca.SecretName, "configMapName": ca.ConfigMapName, "key": ca.Key},
		}
		if block := kopia.MaintenanceCronJob; block != nil {
			read["maintenanceCronJob"] = Object{
				"enabled": block.Enabled == nil || *block.Enabled, "schedule": block.Schedule,
			}
		}
		if days := kopia.MaintenanceIntervalDays; days != nil {
			read["maintenanceIntervalDays"] = *days
		}
		spec["kopia"] = read
	}
	return Object{"metadata": metadata, "spec": spec}
}

// ReadRequest returns what a ReplicationSource asks for. It returns nil, and no error, for a readable object of
// another kind, for a source without spec.kopia, and for one that takes no part and whose repository cannot be read.
//
// An [Error] names the source wherever its names can be read, and its Secret wherever that can be read: such a source
// counts as unreadable, not as gone.
func ReadRequest(source Object) (*Request, error) { return plainly(readRequest(source)) }

func readRequest(source Object) (*Request, *Error) {
	request, refused := requestOf(oneObject(source))
	if refused != nil {
		refused.Source, refused.SecretName = sourceOf(source), secretOf(source)
	}
	return request, refused
}

// sourceOf returns who a source is, whatever else is wrong with it; zero where that cannot be read.
func sourceOf(source Object) SourceRef {
	namespace := nameIn(source, namespaceName, "metadata", "namespace")
	name := nameIn(source, objectName, "metadata", "name")
	if namespace == "" || name == "" {
		return SourceRef{}
	}
	return SourceRef{namespace, name}
}

func secretOf(source Object) string { return nameIn(source, objectName, "spec", "kopia", "repository") }

// isOtherKind returns whether a readable object is no ReplicationSource. Items of raw lists have no kind.
func isOtherKind(object fields) bool {
	version := object.text("apiVersion")
	isOther := version != "" && strings.Split(version, "/")[0] != group || !object.isKind("ReplicationSource")
	return isOther && object.fault() == nil
}

func requestOf(object fields) (*Request, *Error) {
	if isOtherKind(object) {
		return nil, nil
	}
	if version := object.text("apiVersion"); object.has("apiVersion") && version != group+"/v1alpha1" {
		object.refuse("apiVersion", "%.60q is not known, only %s/v1alpha1 is", version, group)
	}
	if object.fault() != nil {
		return nil, object.fault()
	}
	metadata, kopia := object.mapping("metadata"), object.mapping("spec").mapping("kopia")
	isLeaving := metadata.has("deletionTimestamp")
	if kopia.members == nil && (isLeaving || object.fault() == nil) {
		return nil, nil
	}
	request := &Request{
		Source: SourceRef{metadata.name("namespace", namespaceName), metadata.name("name", objectName)},
	}
	if !isLeaving {
		request.Enabled, request.Schedule = wishOf(kopia)
	}
	if object.fault() != nil {
		return nil, object.fault()
	}
	if request.Repository = repositoryOf(kopia); !request.Enabled && object.fault() != nil {
		return nil, nil
	}
	if request.Enabled && metadata.has("creationTimestamp") {
		created, refused := parseTime(metadata.required("creationTimestamp"))
		metadata.keep(refused, metadata.at("creationTimestamp"))
		request.CreatedAt = created
	}
	if object.fault() == nil {
		object.keep(request.check(), "spec.kopia.maintenanceCronJob.schedule")
	}
	return request, object.fault()
}

// wishOf returns whether a source takes part, and the schedule that it asks for. That of a disabled one is not read.
func wishOf(kopia fields) (enabled bool, wanted Schedule) {
	block := kopia.mapping("maintenanceCronJob")
	text := DefaultSchedule
	if block.members == nil {
		switch kopia.integer("maintenanceIntervalDays") {
		case "":
			return true, Schedule{}
		case "0", "-0":
			return false, Schedule{}
		case "7":
			text = "0 2 * * 0"
		case "30", "31":
			text = "0 2 1 * *"
		}
	} else {
		if !block.boolean("enabled", true) {
			return false, Schedule{}
		}
		if asked := block.text("schedule"); asked != "" {
			text = asked
		}
	}
	wanted, refused := parseSchedule(text)
	block.keep(refused, block.at("schedule"))
	return true, wanted
}

func repositoryOf(kopia fields) Repository {
	block := kopia.mapping("customCA")
	repository := Repository{SecretName: kopia.name("repository", objectName)}
	for _, member := range repository.CustomCA.members() {
		*member.text = block.text(member.key)
		block.keep(member.check(), block.path)
	}
	return repository
}
