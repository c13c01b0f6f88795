//! Every target on its seeds and on inputs near them: quick enough for every day,
//! and proof that the targets compile.

use proptest::prelude::*;

use super::*;

fn run_all(input: &[u8]) {
    for target in TARGETS {
        (target.run)(input);
    }
}

#[test]
fn every_target_holds_for_the_seeds_of_all() {
    for seed in TARGETS.iter().flat_map(|target| (target.seeds)()) {
        run_all(seed.as_bytes());
    }
}

#[test]
fn every_target_has_a_name_of_its_own_and_seeds() {
    for target in TARGETS {
        assert_eq!(TARGETS.iter().filter(|other| other.name == target.name).count(), 1, "{}", target.name);
        assert!(!(target.seeds)().is_empty(), "{}", target.name);
        assert_eq!(find(target.name).map(|found| found.about), Some(target.about));
    }
    assert!(find("no-such-target").is_none());
}

/// A seed with one piece of it replaced by a piece of another one.
fn near_a_seed() -> impl Strategy<Value = Vec<u8>> {
    let seeds: Vec<Vec<u8>> =
        TARGETS.iter().flat_map(|target| (target.seeds)()).map(String::into_bytes).collect();
    (prop::sample::select(seeds.clone()), prop::sample::select(seeds), any::<[prop::sample::Index; 4]>())
        .prop_map(|(seed, other, [from, to, start, end])| {
            let range = |length: usize, one: prop::sample::Index, two: prop::sample::Index| {
                let (one, two) = (one.index(length + 1), two.index(length + 1));
                one.min(two)..one.max(two)
            };
            let piece = &other[range(other.len(), start, end)];
            let mut input = seed.clone();
            input.splice(range(seed.len(), from, to), piece.iter().copied());
            input
        })
}

proptest! {
    // Each of them runs every target.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_target_holds_near_its_seeds(input in near_a_seed()) {
        run_all(&input);
    }

    #[test]
    fn every_target_holds_for_any_bytes(input in prop::collection::vec(any::<u8>(), 0..64)) {
        run_all(&input);
    }
}
