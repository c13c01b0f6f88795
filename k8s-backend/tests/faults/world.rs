//! The cluster and the program of a schedule: what happens to Jobs, to the server and to the program, by dice.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use fastrand::Rng;
use k8s_backend::{
    Cause, JobBackend, KubeBackend, KubeOptions,
    testing::{ApiServer, PodEnd, Seen, Trouble, Verb},
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::driver::{Ledger, Outcome, Record, Style, drive};

/// Longer than a lost request can be under way: an object that is removed earlier could be made again by it.
const SETTLED: Duration = Duration::from_mins(3);

pub(crate) struct World {
    seed: u64,
    dice: Rng,
    server: ApiServer,
    ledger: Ledger,
    drivers: JoinSet<()>,
    /// The role lets pods and events be read.
    sees_pods: bool,
    /// How Jobs ended, as the cluster knows.
    truth: BTreeMap<String, Truth>,
}

#[derive(Debug, Clone, Default)]
struct Truth {
    ended: Option<PodEnd>,
    /// Gone after a deletion that waited for the pod.
    collected: bool,
    /// Gone without a word.
    removed: bool,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Rng::with_seed(seed);
        let records = (0..dice.u32(1..=6)).map(|number| {
            let (to_cancel, is_taken) = (dice.u8(0..5) == 0, dice.u8(0..10) == 0);
            (format!("job-{number}-100-1"), Record { to_cancel, is_taken, ..Record::default() })
        });
        let records: BTreeMap<_, _> = records.collect();
        let server = ApiServer::new("terrakube");
        for (name, _) in records.iter().filter(|(_, record)| record.is_taken) {
            server.put("jobs", json!({"metadata": {"name": name, "uid": name}, "spec": {}}));
        }
        let ledger = Arc::new(Mutex::new(records));
        let (drivers, truth) = (JoinSet::new(), BTreeMap::new());
        let sees_pods = dice.bool();
        if sees_pods {
            server.extended_role();
        } else {
            server.documented_role();
        }
        let mut world = Self { seed, dice, server, ledger, drivers, sees_pods, truth };
        world.start_program();
        world
    }

    /// Starts the program, or kills it and starts it again.
    fn start_program(&mut self) {
        self.drivers = JoinSet::new();
        let backend: Arc<dyn JobBackend> =
            Arc::new(KubeBackend::new(self.server.client(), KubeOptions::new()));
        let style = if self.dice.bool() { Style::OwnLoop } else { Style::RunToEnd };
        let records = self.ledger.lock().unwrap().clone();
        for (name, record) in records {
            if record.outcome.is_none() && record.fault.is_none() {
                self.drivers.spawn(drive(Arc::clone(&backend), Arc::clone(&self.ledger), name, style));
            }
        }
    }

    /// Lets everything go wrong for a while.
    pub(crate) async fn go_wrong(&mut self) {
        let often = self.dice.u8(0..60);
        let dice = Mutex::new(self.dice.fork());
        self.server.trouble(move |request| {
            let mut dice = dice.lock().unwrap();
            if dice.u8(0..100) < often { trouble(&mut dice, request.verb) } else { Trouble::default() }
        });
        for _ in 0..self.dice.u32(10..80) {
            tokio::time::sleep(Duration::from_millis(self.dice.u64(0..4000))).await; // bounded poll
            match self.dice.u8(0..22) {
                0 => self.server.cut_watches(),
                1 => self.server.end_watches(),
                2 => self.server.compact(),
                3 => self.server.restart(),
                4 => self.server.bookmark(),
                5 => self.server.go_away(),
                6 | 7 => self.server.come_back(),
                8 => {
                    let late = Duration::from_millis(self.dice.u64(0..5000));
                    let kind = self.any_kind();
                    self.server.delay_events_of(kind, late);
                }
                9 => self.start_program(),
                10 => tokio::time::sleep(SETTLED).await, // bounded poll
                11 => {
                    let kind = self.any_kind();
                    self.server.cut_watches_of(kind);
                }
                _ => self.happen(),
            }
        }
    }

    fn any_kind(&mut self) -> &'static str {
        ["jobs", "pods", "events"][self.dice.usize(0..3)]
    }

    /// Lets the server be well.
    pub(crate) fn recover(&self) {
        self.server.no_trouble();
        self.server.come_back();
        self.server.delay_events(Duration::ZERO);
    }

    /// Lets Jobs go on until the program knows how each has ended.
    pub(crate) async fn wait_for_all(&mut self) {
        while self
            .ledger
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

    /// Lets something happen to a Job.
    fn happen(&mut self) {
        let names = self.server.names("jobs");
        let Some(name) = self.dice.choice(names) else { return };
        // One whose deletion waits for its pod cannot be deleted in another way any more.
        if self.dice.u8(0..8) == 0 && self.is_settled(&name) && !self.server.is_being_deleted(&name) {
            self.server.delete_in_background(&name);
            self.truth.entry(name).or_default().removed = true;
            return;
        }
        self.advance(&name);
    }

    /// A lost request for this Job cannot arrive any more.
    fn is_settled(&self, name: &str) -> bool {
        let ledger = self.ledger.lock().unwrap();
        let Record { submitted, .. } = &ledger[name];
        submitted.is_some_and(|submitted| submitted.elapsed() > SETTLED)
    }

    fn advance(&mut self, name: &str) {
        let Some(job) = self.server.object("jobs", name) else { return };
        if self.ledger.lock().unwrap()[name].is_taken {
            return;
        }
        let status = &job["status"];
        let has_ended = status["conditions"].as_array().is_some_and(|conditions| !conditions.is_empty());
        if job["metadata"].get("deletionTimestamp").is_some() {
            if status["terminating"] == 0 && !has_ended {
                self.server.terminate_pod(name);
            } else if self.is_settled(name) {
                self.server.collect(name);
                self.truth.entry(name.to_owned()).or_default().collected = true;
            }
        } else if has_ended {
            if self.is_settled(name) && self.dice.u8(0..4) == 0 {
                self.server.collect(name);
                self.truth.entry(name.to_owned()).or_default().removed = true;
            }
        } else if status.get("startTime").is_none() {
            self.server.take_up(name);
        } else if status["ready"] == 0 {
            self.server.start_pod(name);
        } else {
            let ends = [PodEnd::Succeeds, PodEnd::FailsByPolicy(7), PodEnd::Fails, PodEnd::IsDisrupted];
            let end = ends[self.dice.usize(0..ends.len())].clone();
            self.server.end_pod(name, &end);
            self.truth.entry(name.to_owned()).or_default().ended = Some(end);
        }
    }

    /// Compares what the program believes with what the cluster knows.
    pub(crate) fn check(&self) {
        let seed = self.seed;
        for (name, record) in self.ledger.lock().unwrap().iter() {
            assert_eq!(self.server.times_made("jobs", name), 1, "seed {seed}: {name} was made again");
            if record.is_taken {
                let is_told = record.fault.as_ref().is_some_and(|fault| fault.starts_with("Conflict"));
                assert!(is_told, "seed {seed}: {name} is taken, and has {record:?}");
                continue;
            }
            assert_eq!(record.fault, None, "seed {seed}: {name}");
            let truth = self.truth.get(name).cloned().unwrap_or_default();
            let right = match record.outcome.as_ref() {
                // Lost would be what is still there.
                Some(Outcome::NotFound) => truth.removed || truth.collected,
                Some(Outcome::Ended(Cause::Deleted)) => truth.collected,
                Some(Outcome::Ended(cause)) => {
                    let may_be_coarse = !self.sees_pods || truth.removed || truth.collected;
                    truth.ended.as_ref().is_some_and(|end| {
                        (self.sees_pods && *cause == precise(end))
                            || (may_be_coarse && is_cause_of(cause, end))
                    })
                }
                None => false,
            };
            assert!(right, "seed {seed}: {name} has {record:?}, the cluster knows {truth:?}");
        }
    }

    pub(crate) fn report(&self) -> String {
        let objects: Vec<Value> =
            self.server.names("jobs").iter().filter_map(|name| self.server.object("jobs", name)).collect();
        let states: Vec<_> = objects.iter().map(|job| (&job["metadata"]["name"], &job["status"])).collect();
        format!("{:?}\n{states:?}", self.ledger.lock().unwrap())
    }
}

/// The cause as the pod tells it.
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

/// Tells whether a cause is what the Job alone tells.
fn is_cause_of(cause: &Cause, end: &PodEnd) -> bool {
    match end {
        PodEnd::Succeeds => *cause == Cause::Completed,
        PodEnd::FailsByPolicy(code) => *cause == Cause::ExitCode(Some(*code)),
        PodEnd::Fails => *cause == Cause::ExitCode(None),
        PodEnd::IsDisrupted => matches!(cause, Cause::Disrupted { .. }),
        _ => *cause == Cause::DeadlineExceeded,
    }
}

/// Throws the dice for the trouble of one request.
fn trouble(dice: &mut Rng, verb: Verb) -> Trouble {
    let late = |dice: &mut Rng| Duration::from_millis(dice.u64(0..3000));
    let code = [429, 500, 503, 504][dice.usize(0..4)];
    match dice.u8(0..10) {
        0 => Trouble::CUT_BEFORE,
        1 => Trouble::CUT_AFTER,
        2 => Trouble::refused(code),
        // The effect is there although the server says otherwise.
        3 => Trouble { seen: Seen::Refusal(code), ..Trouble::default() },
        4 => Trouble { twice: true, ..Trouble::default() },
        5 => Trouble { late: late(dice), ..Trouble::default() },
        6 => Trouble { answer_late: late(dice), ..Trouble::default() },
        // Nobody waits as long as this.
        7 if verb == Verb::Create => Trouble { late: Duration::from_secs(90), ..Trouble::default() },
        8 => Trouble { late: late(dice), answer_late: late(dice), seen: Seen::Cut, ..Trouble::default() },
        _ => Trouble { answer_late: Duration::from_secs(dice.u64(0..100)), ..Trouble::default() },
    }
}
