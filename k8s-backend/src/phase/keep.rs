//! Reduces pods and events to what a phase is read from.
//!
//! Pods have payloads of up to 128 KiB in their environment, and the last output of a container in their
//! status. A program that remembers thousands of them, as long as their Jobs exist, keeps neither.

use k8s_openapi::{
    api::core::v1::{
        Container, ContainerState, ContainerStatus, Event, ObjectReference, Pod, PodSpec, PodStatus,
        ResourceRequirements,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use super::{events, pod};

/// Reduces a pod.
pub(crate) fn pod(pod: Pod) -> Pod {
    let metadata = ObjectMeta {
        name: pod.metadata.name,
        uid: pod.metadata.uid,
        resource_version: pod.metadata.resource_version,
        creation_timestamp: pod.metadata.creation_timestamp,
        deletion_timestamp: pod.metadata.deletion_timestamp,
        owner_references: pod.metadata.owner_references,
        ..ObjectMeta::default()
    };
    let spec = pod.spec.map(|spec| PodSpec {
        containers: spec.containers.into_iter().map(container).collect(),
        ..PodSpec::default()
    });
    let status = pod.status.map(|status| PodStatus {
        phase: status.phase,
        reason: status.reason,
        message: status.message,
        conditions: status.conditions,
        container_statuses: status.container_statuses.map(statuses),
        init_container_statuses: status.init_container_statuses.map(statuses),
        ..PodStatus::default()
    });
    Pod { metadata, spec, status }
}

/// Only the memory limit is part of a cause.
fn container(container: Container) -> Container {
    let resources = container.resources.map(|resources| ResourceRequirements {
        limits: resources.limits,
        ..ResourceRequirements::default()
    });
    Container { name: container.name, resources, ..Container::default() }
}

fn statuses(statuses: Vec<ContainerStatus>) -> Vec<ContainerStatus> {
    let kept = statuses.into_iter().map(|status| ContainerStatus {
        name: status.name,
        state: status.state.map(state),
        ..ContainerStatus::default()
    });
    kept.collect()
}

fn state(mut state: ContainerState) -> ContainerState {
    if let Some(ended) = &mut state.terminated
        && !pod::is_system_message(ended)
    {
        ended.message = None;
    }
    state
}

/// Reduces an event; `None` for one that cannot change a phase.
pub(crate) fn event(event: Event) -> Option<Event> {
    if !events::is_relevant(&event) {
        return None;
    }
    let about = event.involved_object;
    Some(Event {
        metadata: ObjectMeta {
            name: event.metadata.name,
            creation_timestamp: event.metadata.creation_timestamp,
            ..ObjectMeta::default()
        },
        involved_object: ObjectReference {
            kind: about.kind,
            name: about.name,
            uid: about.uid,
            ..ObjectReference::default()
        },
        reason: event.reason,
        message: event.message,
        event_time: event.event_time,
        last_timestamp: event.last_timestamp,
        series: event.series,
        ..Event::default()
    })
}
