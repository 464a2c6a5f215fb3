//! A few things in order. A tree's smallest node has room for eleven, and most users have one client
//! and a chat or two: of many users that is most of the memory.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A set, in as much room as it needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Few<T>(Vec<T>);

/// A map, in as much room as it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FewBy<K, V>(Vec<(K, V)>);

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Ord> Few<T> {
    pub(super) fn insert(&mut self, new: T) {
        if let Err(place) = self.0.binary_search(&new) {
            insert(&mut self.0, place, new);
        }
    }

    pub(super) fn remove(&mut self, gone: &T) {
        if let Ok(place) = self.0.binary_search(gone) {
            remove(&mut self.0, place);
        }
    }

    /// All of them, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }
}

impl<'a, T: Ord> IntoIterator for &'a Few<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<K: Ord + Copy, V> FewBy<K, V> {
    /// What lies under a key.
    pub fn get(&self, key: K) -> Option<&V> {
        let place = self.place(key).ok()?;
        self.0.get(place).map(|(_, value)| value)
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        match self.place(key) {
            Ok(place) => self.0[place].1 = value,
            Err(place) => insert(&mut self.0, place, (key, value)),
        }
    }

    pub(super) fn remove(&mut self, key: K) {
        if let Ok(place) = self.place(key) {
            remove(&mut self.0, place);
        }
    }

    fn place(&self, key: K) -> Result<usize, usize> {
        self.0.binary_search_by_key(&key, |(key, _)| *key)
    }
}

impl<K: Ord + Copy, V, const N: usize> From<[(K, V); N]> for FewBy<K, V> {
    fn from(all: [(K, V); N]) -> Self {
        let mut few = Self(Vec::with_capacity(N));
        for (key, value) in all {
            few.insert(key, value);
        }
        few
    }
}

impl<K: Serialize, V: Serialize> Serialize for FewBy<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl<'de, K: Deserialize<'de> + Ord, V: Deserialize<'de>> Deserialize<'de> for FewBy<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let all = BTreeMap::<K, V>::deserialize(deserializer)?;
        Ok(Self(all.into_iter().collect()))
    }
}

fn insert<T>(all: &mut Vec<T>, place: usize, new: T) {
    // Room for a few to come would be most of what most of them hold.
    if all.len() < 16 {
        all.reserve_exact(1);
    }
    all.insert(place, new);
}

fn remove<T>(all: &mut Vec<T>, place: usize) {
    all.remove(place);
    if all.len() < all.capacity() / 2 {
        all.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_each_once_in_order() {
        let mut few = Few::default();
        for number in [5, 1, 9, 5, 1] {
            few.insert(number);
        }
        assert_eq!(few.iter().copied().collect::<Vec<_>>(), [1, 5, 9]);
        few.remove(&5);
        few.remove(&7);
        assert_eq!(serde_json::to_string(&few).expect("json"), "[1,9]");
        assert_eq!(serde_json::from_str::<Few<i32>>("[1,9]").expect("few"), few);
    }

    #[test]
    fn a_map_is_saved_as_a_tree_is() {
        let mut few = FewBy::from([(7_u64, 'b'), (3, 'a')]);
        few.insert(5, 'c');
        few.insert(7, 'd');
        few.remove(3);
        few.remove(4);
        assert_eq!((few.get(7), few.get(3)), (Some(&'d'), None));
        let tree = BTreeMap::from([(5_u64, 'c'), (7, 'd')]);
        let saved = serde_json::to_string(&few).expect("json");
        assert_eq!(saved, serde_json::to_string(&tree).expect("json"));
        let read: FewBy<u64, char> = serde_json::from_str(&saved).expect("few");
        assert_eq!(read, few);
    }

    #[test]
    fn a_few_take_the_room_of_a_few() {
        let mut few = Few::default();
        few.insert(1);
        assert_eq!(few.0.capacity(), 1);
        for number in 0..1000 {
            few.insert(number);
        }
        for number in 2..1000 {
            few.remove(&number);
        }
        assert!(few.0.capacity() < 8, "{}", few.0.capacity());
    }
}
