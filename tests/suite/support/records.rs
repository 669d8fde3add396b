//! Recorded digests as they stand on disk, and wrong ones among them.

use redb::{Database, ReadableTable as _, TableDefinition};

/// Device and inode.
type Key = (u64, u64);
/// Size, times, second of the read, digest, check.
type Record = (u64, i64, i64, i64, i64, i64, [u8; 32], [u8; 16]);
const RECORDS: TableDefinition<'static, Key, Record> = TableDefinition::new("blake3 v2");

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
        let (key, mut record) = wanted.expect("a record of that file");
        record.6 = [7; 32];
        record.7 = check(key, &record);
        table.insert(key, record).unwrap();
    }
    transaction.commit().unwrap();
}

/// The check that a wrong record has all the same.
fn check((device, inode): Key, record: &Record) -> [u8; 16] {
    let (size, modified, modified_nanos, changed, changed_nanos, read, digest, _) = record;
    let mut bytes: Vec<u8> = [device, inode, *size].iter().flat_map(|part| part.to_le_bytes()).collect();
    let times = [modified, modified_nanos, changed, changed_nanos, read];
    bytes.extend(times.iter().flat_map(|part| part.to_le_bytes()));
    bytes.extend(digest);
    let whole = blake3::derive_key("twintree digest cache, check of a record and its key", &bytes);
    whole[..16].try_into().unwrap()
}
