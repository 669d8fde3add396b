//! A table that is written row group by row group: what is held are the rows of one.

use std::io::Write;
use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::column::writer::ColumnWriterImpl;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{BloomFilterPosition, EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::ColumnPath;

use super::facts::Origin;
use super::schema::{Bytes, Column, Read, TableSchema};

/// A row group is closed at so many rows, or so many bytes of names and messages in them.
const ROWS: usize = 100_000;
const ROW_BYTES: usize = 24 << 20;

/// So many values of a column are handed on at once.
const BATCH: usize = 1024;

/// The columns with a bloom filter: what is looked for by its whole value.
const BLOOM: &str = "blake3";

/// The share of values that a bloom filter takes for others.
const BLOOM_FPP: f64 = 0.01;

/// Why a table cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TableError(#[from] ParquetError);

/// A table of one manifest while it is written.
pub struct Table<'o, W: Write + Send, R: 'static> {
    writer: SerializedFileWriter<W>,
    schema: &'static TableSchema<R>,
    origin: &'o Origin,
    rows: Vec<R>,
    bytes: usize,
    written: u64,
}

impl<'o, W: Write + Send, R> Table<'o, W, R> {
    /// Begins a table.
    pub fn begin(schema: &'static TableSchema<R>, origin: &'o Origin, out: W) -> Result<Self, TableError> {
        let writer = SerializedFileWriter::new(out, schema.message()?, Arc::new(properties(schema, origin)?))?;
        Ok(Self { writer, schema, origin, rows: Vec::new(), bytes: 0, written: 0 })
    }

    /// Adds a row whose names and messages take so many bytes.
    pub fn push(&mut self, row: R, bytes: usize) -> Result<(), TableError> {
        self.rows.push(row);
        self.bytes += bytes;
        match self.rows.len() >= ROWS || self.bytes >= ROW_BYTES {
            true => self.write_rows(),
            false => Ok(()),
        }
    }

    /// Writes what is left. Gives how many rows there are.
    pub fn finish(mut self) -> Result<u64, TableError> {
        if !self.rows.is_empty() {
            self.write_rows()?;
        }
        self.writer.close()?;
        Ok(self.written)
    }

    fn write_rows(&mut self) -> Result<(), TableError> {
        let mut group = self.writer.next_row_group()?;
        for column in self.schema.columns {
            let Some(mut writer) = group.next_column()? else { break };
            write_column(&mut writer, column, self.origin, &self.rows)?;
            writer.close()?;
        }
        group.close()?;
        self.written += self.rows.len() as u64;
        self.bytes = 0;
        self.rows.clear();
        Ok(())
    }
}

fn properties<R>(schema: &TableSchema<R>, origin: &Origin) -> Result<WriterProperties, ParquetError> {
    let fact = |name: &str, value: String| KeyValue::new(format!("twintree.{name}"), value);
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_max_row_group_row_count(Some(ROWS))
        // Not kept until the file ends.
        .set_bloom_filter_position(BloomFilterPosition::AfterRowGroup)
        .set_key_value_metadata(Some(vec![
            fact("table", schema.name.to_owned()),
            fact("program", origin.identity.program.clone()),
            fact("rules_fingerprint", origin.identity.rules_fingerprint().to_string()),
            fact("selection", origin.selection().unwrap_or_default()),
        ]));
    for column in schema.columns {
        let path = || ColumnPath::from(column.name);
        if column.distinct {
            properties = properties.set_column_dictionary_enabled(path(), false);
        }
        if column.name == BLOOM {
            properties = properties
                .set_column_bloom_filter_enabled(path(), true)
                .set_column_bloom_filter_fpp(path(), BLOOM_FPP)
                .set_column_bloom_filter_max_ndv(path(), ROWS as u64);
        }
    }
    Ok(properties.build())
}

fn write_column<R>(
    writer: &mut SerializedColumnWriter<'_>,
    column: &Column<R>,
    origin: &Origin,
    rows: &[R],
) -> Result<(), ParquetError> {
    let bytes = |value: Bytes<'_>| value.map(|value| ByteArray::from(value.into_owned()));
    match &column.read {
        Read::Text(read) | Read::Binary(read) => {
            write_values(writer.typed::<ByteArrayType>(), rows, |row| bytes(read(origin, row)))
        }
        Read::Boolean(read) => write_values(writer.typed::<BoolType>(), rows, |row| read(origin, row)),
        Read::Int(read) => write_values(writer.typed::<Int32Type>(), rows, |row| read(origin, row)),
        Read::BigInt(read) | Read::Timestamp(read) => {
            write_values(writer.typed::<Int64Type>(), rows, |row| read(origin, row))
        }
    }
}

/// A definition level of 1 is a value, and 0 is null.
fn write_values<T: DataType, R>(
    writer: &mut ColumnWriterImpl<'_, T>,
    rows: &[R],
    read: impl Fn(&R) -> Option<T::T>,
) -> Result<(), ParquetError> {
    let (mut values, mut levels) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
    for batch in rows.chunks(BATCH) {
        values.clear();
        levels.clear();
        for value in batch.iter().map(&read) {
            levels.push(i16::from(value.is_some()));
            values.extend(value);
        }
        writer.write_batch(&values, Some(&levels), None)?;
    }
    Ok(())
}
