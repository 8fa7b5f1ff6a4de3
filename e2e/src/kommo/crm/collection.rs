//! Entities of one kind, by their identifier, answered in the shapes of the Kommo API.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Failure, Page};

/// The most entities of one kind; creating one more is refused.
pub(super) const MAX_ENTITIES: usize = 10_000;

/// Entities of one kind.
#[derive(Debug)]
pub(super) struct Collection {
    /// The key under `_embedded`.
    name: &'static str,
    /// The path of the list in the API.
    path: &'static str,
    next_id: u64,
    items: BTreeMap<u64, Map<String, Value>>,
}

impl Collection {
    /// An empty collection whose identifiers start at `first_id`.
    pub(super) fn new(name: &'static str, path: &'static str, first_id: u64) -> Self {
        Self { name, path, next_id: first_id, items: BTreeMap::new() }
    }

    /// Adds an entity and answers its identifier.
    pub(super) fn insert(&mut self, mut item: Map<String, Value>) -> Result<u64, Failure> {
        if self.items.len() >= MAX_ENTITIES {
            return Err(Failure::Refused);
        }
        let id = self.next_id;
        self.next_id += 1;
        item.insert("id".to_owned(), json!(id));
        item.insert("_links".to_owned(), self.links(id));
        self.items.insert(id, item);
        Ok(id)
    }

    pub(super) fn get(&self, id: u64) -> Result<&Map<String, Value>, Failure> {
        self.items.get(&id).ok_or(Failure::NotFound)
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Result<&mut Map<String, Value>, Failure> {
        self.items.get_mut(&id).ok_or(Failure::NotFound)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Map<String, Value>> {
        self.items.values()
    }

    /// The answer to a creation or a change: the identifier alone.
    pub(super) fn changed(&self, id: u64) -> Value {
        json!({
            "_links": {"self": {"href": self.path}},
            "_embedded": {self.name: [{"id": id, "_links": self.links(id)}]},
        })
    }

    /// All entities.
    pub(super) fn all(&self) -> Value {
        json!({
            "_total_items": self.items.len(),
            "_links": {"self": {"href": self.path}},
            "_embedded": {self.name: self.iter().collect::<Vec<_>>()},
        })
    }

    /// One page of the entities that match. A `next` link is there exactly when another page has entities.
    pub(super) fn page(&self, page: Page, matches: impl Fn(&Map<String, Value>) -> bool) -> Value {
        let Page { number, limit } = page;
        let skip = usize::try_from(number.saturating_sub(1).saturating_mul(limit)).unwrap_or(usize::MAX);
        let take = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut rest = self.iter().filter(|item| matches(item)).skip(skip);
        let items: Vec<_> = rest.by_ref().take(take).collect();
        let href = |number: u64| json!({"href": format!("{}?page={number}&limit={limit}", self.path)});
        let mut links = json!({"self": href(number)});
        if rest.next().is_some() {
            links["next"] = href(number.saturating_add(1));
        }
        json!({"_page": number, "_links": links, "_embedded": {self.name: items}})
    }

    fn links(&self, id: u64) -> Value {
        json!({"self": {"href": format!("{}/{id}", self.path)}})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collection(size: usize) -> Collection {
        let mut collection = Collection::new("things", "/api/v4/things", 1);
        for _ in 0..size {
            collection.insert(Map::new()).expect("room");
        }
        collection
    }

    fn ids(page: &Value) -> Vec<u64> {
        let items = page["_embedded"]["things"].as_array().expect("an array");
        items.iter().filter_map(|item| item["id"].as_u64()).collect()
    }

    #[test]
    fn pages_end_with_the_last_entity() {
        let collection = collection(5);
        let page = |number, limit| collection.page(Page { number, limit }, |_| true);
        assert_eq!((ids(&page(1, 2)), page(1, 2)["_links"].get("next").is_some()), (vec![1, 2], true));
        assert_eq!((ids(&page(3, 2)), page(3, 2)["_links"].get("next").is_some()), (vec![5], false));
        assert_eq!(
            (ids(&page(1, 5)), page(1, 5)["_links"].get("next").is_some()),
            (vec![1, 2, 3, 4, 5], false)
        );
        assert_eq!(ids(&page(u64::MAX, u64::MAX)), Vec::<u64>::new());
    }

    #[test]
    fn one_entity_past_the_bound_is_refused() {
        let mut collection = collection(MAX_ENTITIES);
        assert_eq!(collection.insert(Map::new()), Err(Failure::Refused));
    }
}
