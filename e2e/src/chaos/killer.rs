//! Kills and stops processes at random moments.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::{Instant, sleep, sleep_until};

use super::{
    site::Site,
    victims::{Steps, Victim},
};

/// The time between two kills, in milliseconds.
const KILL_INTERVAL: std::ops::Range<u64> = 100..1_500;
/// The same where a step takes half a minute: some of them end, and plans are left alone mostly.
const SLOW_INTERVAL: std::ops::Range<u64> = 1_000..12_000;
/// How long a server is away, in milliseconds.
const AWAY: std::ops::Range<u64> = 0..1_500;
/// How long a server is stopped, in milliseconds: mostly longer than its lease of 10 seconds.
const STOPPED: std::ops::Range<u64> = 500..16_000;
/// When a stopped server gets no more requests.
const CUT_OFF_AFTER: Duration = Duration::from_secs(1);

/// What was done to each kind of process.
pub(super) type Kills = BTreeMap<Victim, u32>;

/// A server that is stopped.
struct Stopped {
    server: usize,
    cut_off: Option<Instant>,
    until: Instant,
}

/// Kills processes until a time, and leaves servers that run.
pub(super) struct Killer<'a> {
    pub(super) site: Site<'a>,
    pub(super) random: fastrand::Rng,
    interval: std::ops::Range<u64>,
    is_slow: bool,
    stopped: Option<Stopped>,
}

impl<'a> Killer<'a> {
    pub(super) fn new(site: Site<'a>, seed: u64, is_slow: bool) -> Self {
        let interval = if is_slow { SLOW_INTERVAL } else { KILL_INTERVAL };
        Self { site, random: fastrand::Rng::with_seed(seed), interval, is_slow, stopped: None }
    }

    pub(super) async fn run(mut self, until: Instant) -> (Kills, anyhow::Result<Site<'a>>) {
        let mut kills = Kills::new();
        let result = self.kill_until(until, &mut kills).await;
        let resumed = self.resume_if(|_| true);
        (kills, result.and(resumed).map(|()| self.site))
    }

    async fn kill_until(&mut self, until: Instant, kills: &mut Kills) -> anyhow::Result<()> {
        loop {
            let next = Instant::now() + Duration::from_millis(self.random.u64(self.interval.clone()));
            while let Some(stopped) = &self.stopped {
                let due = stopped.cut_off.unwrap_or(stopped.until);
                if due > next.min(until) {
                    break;
                }
                sleep_until(due).await;
                self.cut_off_if_due()?;
                self.resume_if(|stopped| Instant::now() >= stopped.until)?;
            }
            sleep_until(next.min(until)).await;
            if Instant::now() >= until {
                return Ok(());
            }
            let victim = Victim::choose(&mut self.random, self.site.count() > 1);
            if self.strike(victim).await? {
                *kills.entry(victim).or_default() += 1;
            }
        }
    }

    /// Returns whether there was such a process.
    async fn strike(&mut self, victim: Victim) -> anyhow::Result<bool> {
        match victim {
            Victim::Server => {
                let server = self.random.usize(..self.site.count());
                // A stopped one that is killed does not come back with old decisions.
                self.stopped = self.stopped.take().filter(|stopped| stopped.server != server);
                self.site.kill(server).await?;
                sleep(Duration::from_millis(self.random.u64(AWAY))).await;
                self.site.start(server).await?;
                Ok(true)
            }
            Victim::Replica if self.stopped.is_some() => Ok(false),
            Victim::Replica => {
                let server = self.random.usize(..self.site.count());
                self.site.freeze(server);
                let now = Instant::now();
                let until = now + Duration::from_millis(self.random.u64(STOPPED));
                self.stopped = Some(Stopped { server, cut_off: Some(now + CUT_OFF_AFTER), until });
                Ok(true)
            }
            Victim::Executor | Victim::Terraform => {
                let of = if self.is_slow && self.random.u8(..10) > 0 { Steps::Applies } else { Steps::All };
                Ok(victim.kill_one(self.site.executors(), of, &mut self.random))
            }
        }
    }

    fn cut_off_if_due(&mut self) -> anyhow::Result<()> {
        if let Some(stopped) = &mut self.stopped
            && stopped.cut_off.take_if(|due| Instant::now() >= *due).is_some()
        {
            self.site.cut_off(stopped.server)?;
        }
        Ok(())
    }

    fn resume_if(&mut self, is_due: impl Fn(&Stopped) -> bool) -> anyhow::Result<()> {
        match self.stopped.take_if(|stopped| is_due(stopped)) {
            Some(stopped) => self.site.resume(stopped.server),
            None => Ok(()),
        }
    }
}
