//! What callers have left of what they may ask: a bucket each, for all shards together, in memory that is bounded however many
//! there are.
//!
//! A caller is a number that is as good as random ([`super::callers`]). It has [`WAYS`] places; in one of them its bucket is, or in
//! none: then the bucket is full. A bucket that is full gives its place to the next caller and nobody notices. If all places are
//! taken by buckets that are not, the fullest of them goes: its caller has a full one again, a little earlier than it should.

use std::sync::PoisonError;

use super::sync::Mutex;
use crate::caller::bucket::{Bucket, Taken};

/// Places of one caller.
pub const WAYS: usize = 8;

/// Most locks: shards seldom want the same one.
const MOST_STRIPES: usize = 256;

/// A caller (0: nobody), and when its bucket is full.
type Place = [u64; 2];

/// Bytes that one caller takes.
pub const CALLER_BYTES: usize = size_of::<Place>();

/// See the module.
pub struct Allowances {
    bucket: Bucket,
    stripes: Box<[Mutex<Vec<Place>>]>,
}

impl Allowances {
    /// Room for at least so many callers. The memory is the system's until a place is used.
    #[must_use]
    pub fn new(bucket: Bucket, callers: usize) -> Self {
        let sets = callers.div_ceil(WAYS).max(1);
        let stripes = sets.min(MOST_STRIPES);
        let each = sets.div_ceil(stripes) * WAYS;
        Allowances { bucket, stripes: (0..stripes).map(|_| Mutex::new(vec![[0; 2]; each])).collect() }
    }

    /// How fast each bucket fills.
    #[must_use]
    pub fn bucket(&self) -> Bucket {
        self.bucket
    }

    /// A caller takes one; also says whether another's bucket has gone for it that was not full.
    pub fn take(&self, caller: u64, now_ns: u64) -> (Taken, bool) {
        self.with(caller, |places, caller| {
            let at = places.iter().position(|place| place[0] == caller);
            let (at, forgot) = match at {
                Some(at) => (at, false),
                None => {
                    // Of those that are full all are the same.
                    let fullest = (0..places.len()).min_by_key(|at| places.get(*at).map(|place| place[1]));
                    let at = fullest.unwrap_or_default();
                    (at, places.get(at).is_some_and(|place| place[1] > now_ns))
                }
            };
            let Some(place) = places.get_mut(at) else {
                return (self.bucket.take(&mut 0, now_ns), false);
            };
            if place[0] != caller {
                *place = [caller, 0];
            }
            (self.bucket.take(&mut place[1], now_ns), forgot)
        })
    }

    /// What a caller would be told, without taking any.
    pub fn look(&self, caller: u64, now_ns: u64) -> Taken {
        self.with(caller, |places, caller| {
            let full_ns = places.iter().find(|place| place[0] == caller).map_or(0, |place| place[1]);
            self.bucket.look(full_ns, now_ns)
        })
    }

    fn with<T>(&self, caller: u64, act: impl FnOnce(&mut [Place], u64) -> T) -> T {
        let stripe = caller as usize % self.stripes.len();
        let Some(stripe) = self.stripes.get(stripe) else { return act(&mut [], caller) };
        let mut places = stripe.lock().unwrap_or_else(PoisonError::into_inner);
        // Other bits than those that have chosen the stripe.
        let set = (caller >> 32) as usize % (places.len() / WAYS).max(1) * WAYS;
        // Nobody is 0.
        act(places.get_mut(set..set + WAYS).unwrap_or_default(), caller.max(1))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const BUCKET: Bucket = Bucket { interval_ns: 1000, burst: 2 };

    #[test]
    fn callers_do_not_take_from_each_other() {
        let all = Allowances::new(BUCKET, 1000);
        for caller in 0..5u64 {
            let passed = [(); 3].map(|()| all.take(caller << 40 | caller, 1).0.passed);
            assert_eq!(passed, [true, true, caller == u64::MAX], "{caller}");
        }
        assert_eq!(all.look(1 << 40 | 1, 1).left, 0);
        assert_eq!(all.look(77, 1).left, 2, "it has never asked");
        assert!(all.take(1 << 40 | 1, 1001).0.passed);
    }

    #[test]
    fn a_full_bucket_gives_its_place_and_otherwise_the_fullest_does() {
        let all = Allowances::new(BUCKET, 1);
        for caller in 1..=WAYS as u64 {
            // The second has taken less than the others.
            for _ in 0..if caller == 2 { 1 } else { 2 } {
                assert!(!all.take(caller, 10).1, "there is room for {caller}");
            }
        }
        assert_eq!((all.take(100, 10).1, all.look(2, 10).left), (true, 2), "the fullest was forgotten");
        assert_eq!(all.look(1, 10).left, 0);
        let later = 10 + BUCKET.window_ns();
        assert!(!all.take(101, later).1, "all are full again");
    }

    #[test]
    fn millions_of_callers_take_no_more_memory_than_was_set_apart() {
        let all = Allowances::new(BUCKET, 65_536);
        let places =
            || all.stripes.iter().map(|stripe| stripe.lock().map_or(0, |places| places.capacity())).sum::<usize>();
        let before = places();
        for caller in 0..2_000_000u64 {
            assert!(all.take(caller.wrapping_mul(0x9e37_79b9_7f4a_7c15), 10).0.passed, "who is new may");
        }
        assert_eq!((before, places()), (65_536, 65_536));
        assert_eq!(CALLER_BYTES, 16);
    }
}
