//! Recorded digests as they stand on disk, and wrong ones among them.

use redb::{Database, ReadableTable as _, TableDefinition};

/// Device and inode; size, times, second of the read, digest.
type Records = TableDefinition<'static, (u64, u64), (u64, i64, i64, i64, i64, i64, [u8; 32])>;
const RECORDS: Records = TableDefinition::new("blake3 v1");

/// Gives the first file whose inode is wanted another recorded digest, as if its bytes had been others then.
pub fn give_a_wrong_digest(database: &Database, is_wanted: impl Fn(u64) -> bool) {
    let transaction = database.begin_write().unwrap();
    {
        let mut table = transaction.open_table(RECORDS).unwrap();
        let mut records = table.iter().unwrap().map(|record| {
            let (key, record) = record.unwrap();
            (key.value(), record.value())
        });
        let wanted = records.find(|((_, inode), _)| is_wanted(*inode));
        let (key, record) = wanted.expect("a record of that file");
        table.insert(key, (record.0, record.1, record.2, record.3, record.4, record.5, [7; 32])).unwrap();
    }
    transaction.commit().unwrap();
}
