#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twintree::decoders::checksum_list(bytes));
