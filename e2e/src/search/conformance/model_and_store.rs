//! The two sides, with the same content.

use std::collections::BTreeMap;

use api_server::{
    encryption::EncryptionKey,
    model::{IacType, Job, NewStep, StepSettings, Workspace as StoredWorkspace},
    store::{NewWorkspace, Store, StoreError},
};
use jiff::Timestamp;
use job_spec::StepType;

use crate::search::{
    choices::Choices,
    records::{Records, Workspace},
};

/// The names of two replicas, by their number in the model.
pub(super) const REPLICAS: [&str; 2] = ["replica 0", "replica 1"];

/// A job as it was read at some time, and the right to decide about it.
pub(super) struct Seen {
    pub(super) of_model: Job,
    pub(super) of_store: Job,
    pub(super) generation: u32,
    pub(super) lease: Store,
}

/// The model and the store.
pub(super) struct ModelAndStore {
    pub(super) choices: Choices,
    /// Prefers calls that make no sense.
    pub(super) is_wild: bool,
    pub(super) records: Records,
    pub(super) store: Store,
    pub(super) workspaces: Vec<StoredWorkspace>,
    pub(super) template: String,
    pub(super) now: Timestamp,
    /// What was read about jobs, the newest last.
    pub(super) seen: BTreeMap<i64, Vec<Seen>>,
    pub(super) next_number: u32,
    /// The last call, for messages.
    pub(super) last: String,
    /// The job that it is about.
    pub(super) touched: Option<i64>,
    _folder: tempfile::TempDir,
}

impl ModelAndStore {
    pub(super) async fn new(mut choices: Choices, is_wild: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.sqlite");
        let store = Store::open(&path, EncryptionKey::new([1; 32])).await.unwrap();
        let mut workspaces = Vec::new();
        let mut records = Records::default();
        let limit = |choice: usize| (choice > 0).then_some(u32::try_from(choice).unwrap());
        records.limits.server = limit(choices.pick(4));
        records.limits.organization = limit(choices.pick(3));
        let mut template = String::new();
        for organization in ["a", "b"] {
            let id = store.create_organization(organization).await.unwrap().id;
            template = store.create_template(&id, "t", "flow: []").await.unwrap().id;
            for name in ["one", "two"] {
                let new = NewWorkspace {
                    organization_id: id.clone(),
                    name: name.to_owned(),
                    source: "https://git.example.com/net.git".into(),
                    branch: "main".to_owned(),
                    folder: "/".to_owned(),
                    iac_type: IacType::Terraform,
                    terraform_version: String::new(),
                };
                workspaces.push(store.create_workspace(new).await.unwrap());
                records.workspaces.push(Workspace { organization, ..Workspace::default() });
            }
        }
        Self {
            choices,
            is_wild,
            records,
            store,
            workspaces,
            template,
            now: Timestamp::now(),
            seen: BTreeMap::new(),
            next_number: 0,
            last: String::new(),
            touched: None,
            _folder: folder,
        }
    }

    pub(super) fn fresh(&mut self) -> u32 {
        self.next_number += 1;
        self.next_number
    }

    pub(super) fn pick<T: Clone>(&mut self, items: &[T]) -> Option<T> {
        (!items.is_empty()).then(|| items[self.choices.pick(items.len())].clone())
    }

    pub(super) fn pick_job(&mut self) -> Option<i64> {
        let open = self.records.jobs.values().filter(|row| !row.job.status.is_final());
        let mut jobs: Vec<i64> = open.map(|row| row.job.id).collect();
        if self.choices.pick(4) == 3 || jobs.is_empty() {
            jobs = self.records.jobs.keys().copied().collect();
        }
        self.touched = self.pick(&jobs);
        self.touched
    }

    /// Picks any attempt, more often one of the newest.
    pub(super) fn pick_attempt(&mut self) -> Option<String> {
        let rows = self.records.jobs.values();
        let attempts = rows.flat_map(|row| row.job.steps.iter().flat_map(|step| &step.attempts));
        let all: Vec<String> = attempts.clone().map(|attempt| attempt.id.clone()).collect();
        let live: Vec<String> =
            attempts.filter(|attempt| attempt.live).map(|attempt| attempt.id.clone()).collect();
        let attempts = if self.choices.pick(4) > 0 && !live.is_empty() { live } else { all };
        let attempt = self.pick(&attempts)?;
        self.touched = self.records.find(&attempt).map(|(row, _, _)| row.job.id);
        Some(attempt)
    }

    pub(super) fn workspace_of(&self, attempt: &str) -> usize {
        self.records.find(attempt).unwrap().0.workspace
    }

    pub(super) async fn create_job(&mut self) {
        const TEMPLATES: [&[StepType]; 4] = [
            &[StepType::TerraformPlan, StepType::Approval, StepType::TerraformApply],
            &[StepType::TerraformPlan],
            &[StepType::TerraformPlan, StepType::TerraformApply, StepType::TerraformPlanDestroy],
            &[StepType::TerraformDestroy],
        ];
        let open = self.records.jobs.values().filter(|row| !row.job.status.is_final());
        if open.count() >= if self.is_wild { 4 } else { 2 } {
            return;
        }
        // Mostly the same two, so that jobs meet.
        let workspace = [0, 0, 0, 2, 1, 3][self.choices.pick(6)];
        let types = TEMPLATES[self.choices.pick(TEMPLATES.len())];
        let id = self.records.create_job(workspace, types, None, self.now);
        let step = |(index, step_type): (u32, &StepType)| NewStep {
            number: (index + 1) * 100,
            name: String::new(),
            step_type: *step_type,
            settings: StepSettings::default(),
        };
        let steps: Vec<NewStep> = (0..).zip(types).map(step).collect();
        let stored = self.store.create_job(&self.workspaces[workspace], &self.template, &steps).await;
        assert_eq!(stored.unwrap().id, id);
        self.touched = Some(id);
        self.last = format!("create job {id} in workspace {workspace}");
    }

    /// A replica renews its lease, or lets it expire, and takes a job.
    pub(super) async fn take_job(&mut self) {
        let replica = self.choices.pick(2);
        let expires = self.choices.pick(5) == 4 && self.is_wild;
        let lease = std::time::Duration::from_secs(if expires { 0 } else { 3600 });
        self.store.renew_replica(REPLICAS[replica], lease).await.unwrap();
        let until = self.now + jiff::SignedDuration::try_from(lease).unwrap();
        let replica_id = u32::try_from(replica).unwrap();
        self.records.replicas.insert(replica_id, until);
        let Some(job) = self.pick_job() else { return };
        let generation = self.records.take_job(job, replica_id, self.now);
        let taken = self.store.take_job(job, REPLICAS[replica]).await.unwrap();
        self.last = format!("replica {replica} takes job {job}: {generation:?}");
        assert_eq!(taken.is_some(), generation.is_some(), "{}", self.last);
        if let (Some(generation), Some(lease)) = (generation, taken) {
            self.see(job, generation, lease).await;
        }
    }

    /// Reads a job, for a decision that may come late.
    pub(super) async fn see(&mut self, job: i64, generation: u32, lease: Store) {
        let of_model = self.records.job(job).clone();
        let of_store = self.store.job(job).await.unwrap();
        self.seen.entry(job).or_default().push(Seen { of_model, of_store, generation, lease });
    }

    /// Asserts that a call of a replica was carried out if it still decides about the job.
    pub(super) fn expect(&self, result: Result<(), StoreError>, is_current: bool) {
        match result {
            Ok(()) => assert!(is_current, "{}: the lease was lost", self.last),
            Err(StoreError::LeaseLost { .. }) => assert!(!is_current, "{}: the lease is valid", self.last),
            Err(error) => panic!("{}: {error}", self.last),
        }
    }
}
