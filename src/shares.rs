//! Who holds how much of what is bounded for each.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How much each holder may hold at once.
pub(crate) struct Shares<K> {
    most: usize,
    /// Has an entry only for those that hold something, so what bounds all that is held bounds it.
    held: Mutex<HashMap<K, usize>>,
}

impl<K: Copy + Eq + Hash> Shares<K> {
    /// `most` for each holder.
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            held: Mutex::default(),
        })
    }

    /// One more for a holder; `None` where it holds as many as it may.
    pub(crate) fn take(self: &Arc<Self>, holder: K) -> Option<Share<K>> {
        let mut held = self.held();
        let count = held.entry(holder).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        let shares = Arc::clone(self);
        Some(Share { shares, holder })
    }

    pub(crate) fn most(&self) -> usize {
        self.most
    }

    fn held(&self) -> MutexGuard<'_, HashMap<K, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a holder holds; dropping it gives it back.
pub(crate) struct Share<K: Copy + Eq + Hash> {
    shares: Arc<Shares<K>>,
    holder: K,
}

impl<K: Copy + Eq + Hash> Drop for Share<K> {
    fn drop(&mut self) {
        if let Entry::Occupied(mut entry) = self.shares.held().entry(self.holder) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_holds_so_much_and_nobody_who_holds_nothing_is_remembered() {
        let shares = Shares::new(2);
        let held: Vec<_> = (0..3).map(|_| shares.take("one")).collect();
        assert_eq!(held.iter().flatten().count(), 2);
        assert!(shares.take("another").is_some());
        drop(held);
        assert!(shares.take("one").is_some());
        assert!(shares.held().is_empty());
    }
}
