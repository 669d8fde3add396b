//! Reading keys of a section; what is wrong is noted, and the reading goes on.

use super::error::{Mistakes, ValueProblem};
use super::value::{Node, Value};

/// A mapping of the file under the key it stands at.
#[derive(Debug)]
pub(crate) struct Section<'a> {
    /// The key, such as `live_migration` or `cassandra_instances[0]`; empty for the file as a whole.
    pub(crate) key: String,
    /// The line of its first key, where there is one.
    pub(crate) line: Option<u64>,
    entries: &'a [(Node, Node)],
}

/// One item of a list.
#[derive(Debug)]
pub(crate) struct Item<T> {
    /// The item.
    pub(crate) value: T,
    /// Its line.
    pub(crate) line: Option<u64>,
    /// Its key, such as `data_dirs[1]` of a section.
    pub(crate) key: String,
}

impl<'a> Section<'a> {
    /// The section at `node`; one without a value has no keys.
    pub(crate) fn new(node: &'a Node, key: String, expected: &'static str, mistakes: &mut Mistakes) -> Self {
        let entries: &[_] = match &node.value {
            Value::Map(entries) => entries,
            Value::Null => &[],
            other => {
                mistakes.add(node.line, key.clone(), ValueProblem::WrongType { found: other.kind(), expected });
                &[]
            }
        };
        Self { key, line: node.line, entries }
    }

    /// The section under `key`; an absent one has no keys.
    pub(crate) fn section(&self, key: &str, mistakes: &mut Mistakes) -> Self {
        match self.get(key) {
            Some(node) => Self::new(node, self.key_of(key), "a mapping", mistakes),
            None => Self { key: self.key_of(key), line: self.line, entries: &[] },
        }
    }

    /// All keys and values.
    pub(crate) fn entries(&self) -> &'a [(Node, Node)] {
        self.entries
    }

    /// The value under `key`. A key without a value is as good as an absent one, as it is to the Sidecar.
    pub(crate) fn get(&self, key: &str) -> Option<&'a Node> {
        let is_key = |node: &Node| matches!(&node.value, Value::Text(text) if text == key);
        let (_, value) = self.entries.iter().find(|(name, _)| is_key(name))?;
        Some(value).filter(|node| node.value != Value::Null)
    }

    /// The whole name of `key` in this section.
    pub(crate) fn key_of(&self, key: &str) -> String {
        if self.key.is_empty() { key.to_owned() } else { format!("{}.{key}", self.key) }
    }

    /// Reads `key`; `None` where it is absent, and where it is wrong, which is noted.
    pub(crate) fn read<T>(
        &self,
        key: &str,
        mistakes: &mut Mistakes,
        check: impl FnOnce(&Value) -> Result<T, ValueProblem>,
    ) -> Option<T> {
        let node = self.get(key)?;
        check(&node.value).map_err(|problem| mistakes.add(node.line, self.key_of(key), problem)).ok()
    }

    /// Reads `key`, which must be there.
    pub(crate) fn require<T>(
        &self,
        key: &str,
        expected: &'static str,
        mistakes: &mut Mistakes,
        check: impl FnOnce(&Value) -> Result<T, ValueProblem>,
    ) -> Option<T> {
        if self.get(key).is_none() {
            mistakes.add(self.line, self.key_of(key), ValueProblem::Missing { expected });
        }
        self.read(key, mistakes, check)
    }

    /// Reads a list; `None` where it is absent or no list. An item that is wrong is noted and left out.
    pub(crate) fn list<T>(
        &self,
        key: &str,
        expected: &'static str,
        mistakes: &mut Mistakes,
        check: impl Fn(&Value) -> Result<T, ValueProblem>,
    ) -> Option<Vec<Item<T>>> {
        let items = self.nodes(key, expected, mistakes)?;
        let mut list = Vec::with_capacity(items.len());
        for Item { value: node, line, key } in items {
            match check(&node.value) {
                Ok(value) => list.push(Item { value, line, key }),
                Err(problem) => mistakes.add(line, key, problem),
            }
        }
        Some(list)
    }

    /// The items of a list, unread; `None` where it is absent or no list.
    pub(crate) fn nodes(
        &self,
        key: &str,
        expected: &'static str,
        mistakes: &mut Mistakes,
    ) -> Option<Vec<Item<&'a Node>>> {
        let node = self.get(key)?;
        let key = self.key_of(key);
        let Value::List(items) = &node.value else {
            mistakes.add(node.line, key, ValueProblem::WrongType { found: node.value.kind(), expected });
            return None;
        };
        let item = |(i, node): (usize, &'a Node)| Item { value: node, line: node.line, key: format!("{key}[{i}]") };
        Some(items.iter().enumerate().map(item).collect())
    }

    /// Notes every key that is not one of `known`.
    pub(crate) fn only(&self, known: &'static [&'static str], mistakes: &mut Mistakes) {
        for (name, _) in self.entries {
            match &name.value {
                Value::Text(text) if known.contains(&text.as_str()) => {}
                Value::Text(text) => {
                    mistakes.add(name.line, self.key_of(text), ValueProblem::UnknownKey { expected: known });
                }
                other => {
                    let problem = ValueProblem::WrongType { found: other.kind(), expected: "a key of this section" };
                    mistakes.add(name.line, self.key.clone(), problem);
                }
            }
        }
    }
}
