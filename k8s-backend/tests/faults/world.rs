//! The cluster and the program of a schedule: random events of Jobs, of the server and of the program.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use fastrand::Rng;
use k8s_backend::{
    Cause, JobBackend, KubeBackend, KubeOptions,
    testing::{ApiServer, Fault, PodEnd, ResponseFault, Verb},
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::driver::{Outcome, Record, Records, Style, drive};

/// Longer than the longest delay of a request: an object that is deleted earlier could be created again by
/// it.
const MAX_REQUEST_DELAY: Duration = Duration::from_mins(3);

pub(crate) struct World {
    seed: u64,
    rng: Rng,
    server: ApiServer,
    records: Records,
    drivers: JoinSet<()>,
    /// The role allows reading pods and events.
    sees_pods: bool,
    /// How Jobs really ended.
    ends: BTreeMap<String, RealEnd>,
}

#[derive(Debug, Clone, Default)]
struct RealEnd {
    ended: Option<PodEnd>,
    /// Deleted after its pod.
    collected: bool,
    /// Deleted without waiting for its pod.
    removed: bool,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let records = (0..rng.u32(1..=6)).map(|number| {
            let (to_cancel, is_taken) = (rng.u8(0..5) == 0, rng.u8(0..10) == 0);
            (format!("job-{number}-100-1"), Record { to_cancel, is_taken, ..Record::default() })
        });
        let records: BTreeMap<_, _> = records.collect();
        let server = ApiServer::new("terrakube");
        for (name, _) in records.iter().filter(|(_, record)| record.is_taken) {
            server.put("jobs", json!({"metadata": {"name": name, "uid": name}, "spec": {}}));
        }
        let records = Arc::new(Mutex::new(records));
        let (drivers, ends) = (JoinSet::new(), BTreeMap::new());
        let sees_pods = rng.bool();
        if sees_pods {
            server.extended_role();
        } else {
            server.documented_role();
        }
        let mut world = Self { seed, rng, server, records, drivers, sees_pods, ends };
        world.start_program();
        world
    }

    /// Starts the program, or kills it and starts it again.
    fn start_program(&mut self) {
        self.drivers = JoinSet::new();
        let backend: Arc<dyn JobBackend> =
            Arc::new(KubeBackend::new(self.server.client(), KubeOptions::new()));
        let style = if self.rng.bool() { Style::OwnLoop } else { Style::RunToEnd };
        let records = self.records.lock().unwrap().clone();
        for (name, record) in records {
            if record.outcome.is_none() && record.fault.is_none() {
                self.drivers.spawn(drive(Arc::clone(&backend), Arc::clone(&self.records), name, style));
            }
        }
    }

    /// Injects random faults for some time.
    pub(crate) async fn inject_faults(&mut self) {
        let percentage = self.rng.u8(0..60);
        let rng = Mutex::new(self.rng.fork());
        self.server.inject_faults(move |request| {
            let mut rng = rng.lock().unwrap();
            if rng.u8(0..100) < percentage { fault(&mut rng, request.verb) } else { Fault::default() }
        });
        for _ in 0..self.rng.u32(10..80) {
            tokio::time::sleep(Duration::from_millis(self.rng.u64(0..4000))).await; // bounded poll
            match self.rng.u8(0..22) {
                0 => self.server.break_watches(),
                1 => self.server.end_watches(),
                2 => self.server.compact(),
                3 => self.server.restart(),
                4 => self.server.bookmark(),
                5 => self.server.set_unavailable(),
                6 | 7 => self.server.set_available(),
                8 => {
                    let delay = Duration::from_millis(self.rng.u64(0..5000));
                    let kind = self.any_kind();
                    self.server.delay_events_of(kind, delay);
                }
                9 => self.start_program(),
                10 => tokio::time::sleep(MAX_REQUEST_DELAY).await, // bounded poll
                11 => {
                    let kind = self.any_kind();
                    self.server.break_watches_of(kind);
                }
                _ => self.change_some_job(),
            }
        }
    }

    fn any_kind(&mut self) -> &'static str {
        ["jobs", "pods", "events"][self.rng.usize(0..3)]
    }

    /// Ends all faults.
    pub(crate) fn recover(&self) {
        self.server.clear_faults();
        self.server.set_available();
        self.server.delay_events(Duration::ZERO);
    }

    /// Advances Jobs until the program knows the end of each.
    pub(crate) async fn wait_for_all(&mut self) {
        while self
            .records
            .lock()
            .unwrap()
            .values()
            .any(|record| record.outcome.is_none() && record.fault.is_none())
        {
            tokio::time::sleep(Duration::from_secs(5)).await; // bounded poll
            for name in self.server.names("jobs") {
                self.advance(&name);
            }
        }
    }

    /// Changes a random Job.
    fn change_some_job(&mut self) {
        let names = self.server.names("jobs");
        let Some(name) = self.rng.choice(names) else { return };
        // A Job whose deletion waits for its pod cannot be deleted in another way.
        if self.rng.u8(0..8) == 0 && self.is_settled(&name) && !self.server.is_terminating(&name) {
            self.server.delete_in_background(&name);
            self.ends.entry(name).or_default().removed = true;
            return;
        }
        self.advance(&name);
    }

    /// Returns whether no delayed request for this Job can arrive any more.
    fn is_settled(&self, name: &str) -> bool {
        let records = self.records.lock().unwrap();
        let Record { submitted, .. } = &records[name];
        submitted.is_some_and(|submitted| submitted.elapsed() > MAX_REQUEST_DELAY)
    }

    fn advance(&mut self, name: &str) {
        let Some(job) = self.server.object("jobs", name) else { return };
        if self.records.lock().unwrap()[name].is_taken {
            return;
        }
        let status = &job["status"];
        let has_ended = status["conditions"].as_array().is_some_and(|conditions| !conditions.is_empty());
        if job["metadata"].get("deletionTimestamp").is_some() {
            if status["terminating"] == 0 && !has_ended {
                self.server.terminate_pod(name);
            } else if self.is_settled(name) {
                self.server.collect(name);
                self.ends.entry(name.to_owned()).or_default().collected = true;
            }
        } else if has_ended {
            if self.is_settled(name) && self.rng.u8(0..4) == 0 {
                self.server.collect(name);
                self.ends.entry(name.to_owned()).or_default().removed = true;
            }
        } else if status.get("startTime").is_none() {
            self.server.create_pod(name);
        } else if status["ready"] == 0 {
            self.server.start_pod(name);
        } else {
            let ends = [PodEnd::Succeeds, PodEnd::FailsByPolicy(7), PodEnd::Fails, PodEnd::IsDisrupted];
            let end = ends[self.rng.usize(0..ends.len())].clone();
            self.server.end_pod(name, &end);
            self.ends.entry(name.to_owned()).or_default().ended = Some(end);
        }
    }

    /// Compares the records of the program with how the Jobs really ended.
    pub(crate) fn check(&self) {
        let seed = self.seed;
        for (name, record) in self.records.lock().unwrap().iter() {
            assert_eq!(self.server.times_created("jobs", name), 1, "seed {seed}: {name} was created again");
            if record.is_taken {
                let is_conflict = record.fault.as_ref().is_some_and(|fault| fault.starts_with("Conflict"));
                assert!(is_conflict, "seed {seed}: {name} belongs to another client, and has {record:?}");
                continue;
            }
            assert_eq!(record.fault, None, "seed {seed}: {name}");
            let ends = self.ends.get(name).cloned().unwrap_or_default();
            let right = match record.outcome.as_ref() {
                // Otherwise an existing Job would be lost.
                Some(Outcome::NotFound) => ends.removed || ends.collected,
                Some(Outcome::Ended(Cause::Deleted)) => ends.collected,
                Some(Outcome::Ended(cause)) => {
                    let may_be_imprecise = !self.sees_pods || ends.removed || ends.collected;
                    ends.ended.as_ref().is_some_and(|end| {
                        (self.sees_pods && *cause == precise(end))
                            || (may_be_imprecise && is_cause_of(cause, end))
                    })
                }
                None => false,
            };
            assert!(right, "seed {seed}: {name} has {record:?}, it really ended with {ends:?}");
        }
    }

    pub(crate) fn report(&self) -> String {
        let objects: Vec<Value> =
            self.server.names("jobs").iter().filter_map(|name| self.server.object("jobs", name)).collect();
        let states: Vec<_> = objects.iter().map(|job| (&job["metadata"]["name"], &job["status"])).collect();
        format!("{:?}\n{states:?}", self.records.lock().unwrap())
    }
}

/// Returns the cause that the pod shows.
fn precise(end: &PodEnd) -> Cause {
    match end {
        PodEnd::Succeeds => Cause::Completed,
        PodEnd::FailsByPolicy(code) => Cause::ExitCode(Some(*code)),
        PodEnd::Fails => Cause::ExitCode(Some(1)),
        PodEnd::IsDisrupted => {
            Cause::Evicted { resource: None, message: "Eviction API: evicting".to_owned() }
        }
        _ => Cause::DeadlineExceeded,
    }
}

/// Returns whether a cause is the one that the Job alone shows.
fn is_cause_of(cause: &Cause, end: &PodEnd) -> bool {
    match end {
        PodEnd::Succeeds => *cause == Cause::Completed,
        PodEnd::FailsByPolicy(code) => *cause == Cause::ExitCode(Some(*code)),
        PodEnd::Fails => *cause == Cause::ExitCode(None),
        PodEnd::IsDisrupted => matches!(cause, Cause::Disrupted { .. }),
        _ => *cause == Cause::DeadlineExceeded,
    }
}

/// Returns a random fault of one request.
fn fault(rng: &mut Rng, verb: Verb) -> Fault {
    let delay = |rng: &mut Rng| Duration::from_millis(rng.u64(0..3000));
    let code = [429, 500, 503, 504][rng.usize(0..4)];
    match rng.u8(0..10) {
        0 => Fault::BROKEN_BEFORE,
        1 => Fault::BROKEN_AFTER,
        2 => Fault::refused(code),
        // The request has its effect although the server returns an error.
        3 => Fault::new().response(ResponseFault::Refusal(code)),
        4 => Fault::new().duplicated(),
        5 => Fault::new().request_delay(delay(rng)),
        6 => Fault::new().response_delay(delay(rng)),
        // Longer than the timeout of a request.
        7 if verb == Verb::Create => Fault::new().request_delay(Duration::from_secs(90)),
        8 => Fault::new()
            .request_delay(delay(rng))
            .response_delay(delay(rng))
            .response(ResponseFault::ConnectionReset),
        _ => Fault::new().response_delay(Duration::from_secs(rng.u64(0..100))),
    }
}
