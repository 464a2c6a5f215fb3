//! A few things in order. A tree's smallest node has room for eleven, and most users have one client
//! and a chat or two: of many users that is most of the memory.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smallvec::SmallVec;

/// A set, in as much room as it needs; up to `N` lie in the place itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent, bound(deserialize = "T: Deserialize<'de>"))]
pub struct Few<T, const N: usize>(SmallVec<[T; N]>);

/// A map, in as much room as it needs; up to `N` lie in the place itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FewBy<K, V, const N: usize>(SmallVec<[(K, V); N]>);

impl<T, const N: usize> Default for Few<T, N> {
    fn default() -> Self {
        Self(SmallVec::new())
    }
}

impl<T: Ord, const N: usize> Few<T, N> {
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

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// All of them, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }
}

impl<'a, T: Ord, const N: usize> IntoIterator for &'a Few<T, N> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<K: Ord + Copy, V, const N: usize> FewBy<K, V, N> {
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

impl<K: Ord + Copy, V, const N: usize> FromIterator<(K, V)> for FewBy<K, V, N> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(all: I) -> Self {
        let mut few = Self(SmallVec::new());
        for (key, value) in all {
            few.insert(key, value);
        }
        few
    }
}

impl<K: Serialize, V: Serialize, const N: usize> Serialize for FewBy<K, V, N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl<'de, K, V, const N: usize> Deserialize<'de> for FewBy<K, V, N>
where
    K: Deserialize<'de> + Ord + Copy,
    V: Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(pairs::<_, _, SmallVec<[(K, V); N]>, _>(deserializer)?
            .into_iter()
            .collect())
    }
}

/// Reads a tree whose nodes are full: one that grows in order has them half empty.
pub(super) fn packed<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
where
    K: Deserialize<'de> + Ord,
    V: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(pairs::<_, _, Vec<_>, _>(deserializer)?
        .into_iter()
        .collect())
}

/// The entries of a map as they come.
fn pairs<'de, K, V, C, D>(deserializer: D) -> Result<C, D::Error>
where
    K: Deserialize<'de>,
    V: Deserialize<'de>,
    C: Default + Extend<(K, V)>,
    D: Deserializer<'de>,
{
    struct Pairs<K, V, C>(PhantomData<(K, V, C)>);

    impl<'de, K, V, C> Visitor<'de> for Pairs<K, V, C>
    where
        K: Deserialize<'de>,
        V: Deserialize<'de>,
        C: Default + Extend<(K, V)>,
    {
        type Value = C;

        fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
            to.write_str("a map")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<C, A::Error> {
            let mut all = C::default();
            while let Some(entry) = map.next_entry()? {
                all.extend([entry]);
            }
            Ok(all)
        }
    }

    deserializer.deserialize_map(Pairs(PhantomData))
}

fn insert<T, const N: usize>(all: &mut SmallVec<[T; N]>, place: usize, new: T) {
    // Room for a few to come would be most of what most of them hold.
    if all.len() < 16 {
        all.reserve_exact(1);
    }
    all.insert(place, new);
}

fn remove<T, const N: usize>(all: &mut SmallVec<[T; N]>, place: usize) {
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
        let mut few = Few::<_, 2>::default();
        for number in [5, 1, 9, 5, 1] {
            few.insert(number);
        }
        assert_eq!(few.iter().copied().collect::<Vec<_>>(), [1, 5, 9]);
        few.remove(&5);
        few.remove(&7);
        assert_eq!(serde_json::to_string(&few).expect("json"), "[1,9]");
        assert_eq!(
            serde_json::from_str::<Few<i32, 2>>("[1,9]").expect("few"),
            few
        );
    }

    #[test]
    fn a_map_is_saved_as_a_tree_is() {
        let mut few = FewBy::<_, _, 2>::from_iter([(7_u64, 'b'), (3, 'a')]);
        few.insert(5, 'c');
        few.insert(7, 'd');
        few.remove(3);
        few.remove(4);
        assert_eq!((few.get(7), few.get(3)), (Some(&'d'), None));
        let tree = BTreeMap::from([(5_u64, 'c'), (7, 'd')]);
        let saved = serde_json::to_string(&few).expect("json");
        assert_eq!(saved, serde_json::to_string(&tree).expect("json"));
        let read: FewBy<u64, char, 2> = serde_json::from_str(&saved).expect("few");
        assert_eq!(read, few);
    }

    #[test]
    fn a_few_take_the_room_of_a_few() {
        let mut few = Few::<u64, 2>::default();
        few.insert(1);
        assert!(!few.0.spilled());
        few.insert(2);
        few.insert(3);
        assert_eq!(few.0.capacity(), 3);
        for number in 0..1000 {
            few.insert(number);
        }
        for number in 2..1000 {
            few.remove(&number);
        }
        assert!(few.0.capacity() < 8, "{}", few.0.capacity());
        few.remove(&0);
        assert!(!few.0.spilled());
    }

    #[test]
    fn a_packed_tree_is_the_tree() {
        let tree: BTreeMap<u64, u64> = (0..100).map(|number| (number, number * 2)).collect();
        let saved = serde_json::to_string(&tree).expect("json");
        let read = packed(&mut serde_json::Deserializer::from_str(&saved)).expect("a tree");
        assert_eq!(tree, read);
    }
}
