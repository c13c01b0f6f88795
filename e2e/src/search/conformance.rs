//! The records of the model against the store of the product: the same calls in the same order, with the same
//! answers and the same records afterwards.
//!
//! Many calls are what the orchestrator decides, so that jobs go on; the others are anything at any time. In
//! every second sequence most of them make sense, so that jobs get far. Times are not compared, only whether
//! there are any.

mod calls;
mod compare;
mod model_and_store;

use self::model_and_store::ModelAndStore;
use super::choices::Choices;

/// How many sequences of calls are played, and how long each is.
const SEQUENCES: u64 = 24;
const CALLS: usize = 100;

#[tokio::test]
async fn records_of_the_model_are_those_of_the_store() {
    for seed in 1..=SEQUENCES {
        let mut both = ModelAndStore::new(Choices::random(seed, 20_000), seed % 2 == 0).await;
        for call in 0..CALLS {
            both.call().await;
            let whole = call % 15 == 14;
            both.compare(&format!("seed {seed}, call {call}"), whole).await;
        }
    }
}
