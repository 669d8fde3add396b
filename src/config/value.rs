//! YAML as a tree in which every value knows its line.
//!
//! The Sidecar's file holds many sections that are not ours, and all mistakes are to be told at once; so the text is
//! read into this tree first and checked by hand, instead of into structures that stop at the first surprise.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, MessageFormatter, Spanned, UserMessageFormatter};

use super::error::ValueProblem;

/// A value and the line it stands on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    /// The line, from 1, where it is known; for an alias, the line of the alias.
    pub(crate) line: Option<u64>,
    /// The value.
    pub(crate) value: Value,
}

/// A YAML value, with types as YAML 1.2 has them: `yes` and `on` are text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// No value, `null` or `~`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i128),
    /// Any other number. No key of ours takes one, so its value is not kept.
    Float,
    /// Text.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the file; the keys are of any type.
    Map(Vec<(Node, Node)>),
}

impl Value {
    /// The type, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "empty",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) | Self::Float => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

/// Where and why a text is not YAML.
#[derive(Debug)]
pub(crate) struct NotYaml {
    /// The line, where it is known.
    pub(crate) line: Option<u64>,
    /// The problem, with the column.
    pub(crate) problem: ValueProblem,
}

/// Reads one YAML document.
pub(crate) fn parse(text: &str) -> Result<Node, NotYaml> {
    let options = serde_saphyr::options! {
        // Long runs of comments are usual in this file, and the parser limits only those it has to keep.
        emit_comments: false,
        duplicate_keys: DuplicateKeyPolicy::Error,
        // What the Sidecar's own parser takes for a boolean, and nothing more.
        strict_booleans: true,
        // A number in a section that is not ours is not ours to refuse.
        non_finite_float_policy: serde_saphyr::NonFiniteFloatPolicy::PassThrough,
        // A small file must not grow into a large tree through aliases of aliases.
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 50_000 },
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let location = error.location();
        NotYaml {
            line: location.map(|at| at.line()),
            problem: ValueProblem::NotYaml {
                column: location.map(|at| at.column()),
                message: UserMessageFormatter.format_message(&error).into_owned(),
            },
        }
    })
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, referenced, .. } = Spanned::<Value>::deserialize(deserializer)?;
        // Line 0 is the parser's word for an unknown place.
        Ok(Self { line: Some(referenced.line()).filter(|line| *line > 0), value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Float)
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Value::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Value {
        Value::Text(value.to_owned())
    }

    fn entries(yaml: &str) -> Vec<(Node, Node)> {
        match parse(yaml).unwrap().value {
            Value::Map(entries) => entries,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn keys_and_values_know_their_lines() {
        let entries = entries("a: 1\nb:\n  c: [x,\n    y]\n");
        assert_eq!((entries[0].0.line, entries[0].1.line), (Some(1), Some(1)));
        assert_eq!((entries[1].0.line, entries[1].1.line), (Some(2), Some(3)));
        let Value::Map(inner) = &entries[1].1.value else { panic!() };
        let Value::List(list) = &inner[0].1.value else { panic!() };
        assert_eq!((list[0].line, list[1].line), (Some(3), Some(4)));
    }

    #[test]
    fn an_alias_stands_where_it_is_used() {
        let entries = entries("a: &x one\nb: *x\nc: {<<: {d: 1}}\n");
        assert_eq!(entries[1].1, Node { line: Some(2), value: text("one") });
        let Value::Map(merged) = &entries[2].1.value else { panic!() };
        assert_eq!((merged[0].0.value.clone(), merged[0].0.line), (text("d"), Some(3)));
    }

    #[test]
    fn types_are_those_of_yaml_1_2() {
        let values: Vec<Value> = entries(
            "a: yes\nb: true\nc: ~\nd: \"1\"\ne: -1\nf: .nan\ng: 1e999\nh: 99999999999999999999\ni: !x y\n1: 2\n",
        )
        .into_iter()
        .map(|(_, value)| value.value)
        .collect();
        assert_eq!(
            values,
            [
                text("yes"),
                Value::Bool(true),
                Value::Null,
                text("1"),
                Value::Integer(-1),
                Value::Float,
                Value::Float,
                Value::Float,
                text("y"),
                Value::Integer(2)
            ]
        );
    }

    #[test]
    fn a_text_that_is_not_yaml_has_a_line_and_a_column() {
        for yaml in ["a: 1\nb: [1\n", "a: 1\na: 2\n", "a: 1\n---\nb: 2\n", "a: *nowhere\n", "a: 1\n\tb: 2\n"] {
            let NotYaml { line, problem } = parse(yaml).unwrap_err();
            assert!(line.is_some(), "{yaml:?}");
            assert!(matches!(problem, ValueProblem::NotYaml { column: Some(_), .. }), "{yaml:?}");
        }
    }

    #[test]
    fn aliases_of_aliases_are_stopped() {
        let mut yaml = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for i in 1..9 {
            let aliases = vec![format!("*a{}", i - 1); 10].join(", ");
            yaml.push_str(&format!("a{i}: &a{i} [{aliases}]\n"));
        }
        assert!(parse(&yaml).is_err());
    }

    #[test]
    fn a_long_run_of_comments_is_no_problem() {
        let comments = "  # a comment\n".repeat(1000);
        assert_eq!(entries(&format!("a:\n{comments}  b: 1\nc:\n{comments}d: 2\n")).len(), 3);
    }
}
