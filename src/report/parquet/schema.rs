//! Columns: their names, their types, and how each is read off a row.

use std::borrow::Cow;
use std::sync::Arc;

use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as PhysicalType};
use parquet::errors::ParquetError;
use parquet::schema::types::{Type, TypePtr};

use super::facts::Origin;

/// A text or bytes of a row, or nothing.
pub(super) type Bytes<'a> = Option<Cow<'a, [u8]>>;

/// How a column is read off a row.
pub(super) enum Read<R> {
    /// UTF-8.
    Text(for<'a> fn(&'a Origin, &'a R) -> Bytes<'a>),
    /// Bytes as they are.
    Binary(for<'a> fn(&'a Origin, &'a R) -> Bytes<'a>),
    /// Yes or no.
    Boolean(fn(&Origin, &R) -> Option<bool>),
    /// A whole number of 32 bits.
    Int(fn(&Origin, &R) -> Option<i32>),
    /// A whole number of 64 bits.
    BigInt(fn(&Origin, &R) -> Option<i64>),
    /// Microseconds since the epoch.
    Timestamp(fn(&Origin, &R) -> Option<i64>),
}

/// A column of a table. All columns may be null: what a later version knows, an earlier file lacks.
pub struct Column<R> {
    /// Its name.
    pub name: &'static str,
    pub(super) read: Read<R>,
    /// Nearly every row has a value of its own, so that a dictionary of them is worth nothing.
    pub(super) distinct: bool,
}

impl<R> Column<R> {
    pub(super) const fn new(name: &'static str, read: Read<R>) -> Self {
        Self { name, read, distinct: false }
    }

    pub(super) const fn distinct(name: &'static str, read: Read<R>) -> Self {
        Self { name, read, distinct: true }
    }

    /// Its type as SQL has it.
    pub fn sql_type(&self) -> &'static str {
        match self.read {
            Read::Text(_) => "STRING",
            Read::Binary(_) => "BINARY",
            Read::Boolean(_) => "BOOLEAN",
            Read::Int(_) => "INT",
            Read::BigInt(_) => "BIGINT",
            Read::Timestamp(_) => "TIMESTAMP",
        }
    }

    fn field(&self) -> Result<TypePtr, ParquetError> {
        let micros = LogicalType::timestamp(true, TimeUnit::MICROS);
        let (physical, logical) = match self.read {
            Read::Text(_) => (PhysicalType::BYTE_ARRAY, Some(LogicalType::String)),
            Read::Binary(_) => (PhysicalType::BYTE_ARRAY, None),
            Read::Boolean(_) => (PhysicalType::BOOLEAN, None),
            Read::Int(_) => (PhysicalType::INT32, None),
            Read::BigInt(_) => (PhysicalType::INT64, None),
            Read::Timestamp(_) => (PhysicalType::INT64, Some(micros)),
        };
        let field = Type::primitive_type_builder(self.name, physical).with_logical_type(logical);
        Ok(Arc::new(field.with_repetition(Repetition::OPTIONAL).build()?))
    }
}

/// A table: its name and its columns.
pub struct TableSchema<R: 'static> {
    /// Its name, which is that of its directory as well.
    pub name: &'static str,
    /// Its columns in their order. New ones come behind the others.
    pub columns: &'static [Column<R>],
}

impl<R> TableSchema<R> {
    pub(super) fn message(&self) -> Result<TypePtr, ParquetError> {
        let fields = self.columns.iter().map(Column::field).collect::<Result<Vec<_>, _>>()?;
        Ok(Arc::new(Type::group_type_builder(self.name).with_fields(fields).build()?))
    }
}
