use proptest::prelude::*;

use super::*;

fn record(kind: u16, body: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    append(&mut octets, kind, body);
    octets
}

fn end() -> Vec<u8> {
    record(CRITICAL, &[])
}

fn read(records: &[Vec<u8>]) -> Result<Option<Agreement>, RecordFault> {
    Reader::default().push(&records.concat())
}

/// The answer of a usual server.
fn usual() -> Vec<Vec<u8>> {
    let mut records = vec![record(CRITICAL | 1, &[0, 0]), record(CRITICAL | 4, &[0, 15])];
    records.extend((0..8).map(|n| record(5, &[n; 100])));
    records
}

/// The usual answer, with `changed` in place of the record with that number.
fn with(place: usize, changed: Vec<u8>) -> Result<Option<Agreement>, RecordFault> {
    let mut records = usual();
    records[place] = changed;
    records.push(end());
    read(&records)
}

#[test]
fn request_offers_ntpv4_and_the_algorithms_in_order() {
    assert_eq!(request(), [0x80, 1, 0, 2, 0, 0, 0x80, 4, 0, 4, 0, 15, 0, 17, 0x80, 0, 0, 0]);
}

#[test]
fn usual_answer_is_read_whole_and_octet_by_octet() {
    let octets = [usual(), vec![record(6, b"ntp.example.net"), record(7, &[0, 124]), end()]].concat().concat();
    let agreement = Reader::default().push(&octets).unwrap().unwrap();
    assert_eq!((agreement.aead, agreement.cookies.len()), (Aead::AesSivCmac256, 8));
    assert_eq!((agreement.server.as_deref(), agreement.port), (Some("ntp.example.net"), Some(124)));
    let mut reader = Reader::default();
    let (last, before) = octets.split_last().unwrap();
    assert!(before.iter().all(|octet| reader.push(&[*octet]) == Ok(None)));
    assert_eq!(reader.push(&[*last]), Ok(Some(agreement)));
}

#[test]
fn order_of_records_is_free_and_unknown_ones_are_skipped() {
    let mut records = usual();
    records.reverse();
    records.push(record(0x4000, b"?"));
    records.push(end());
    assert!(matches!(read(&records), Ok(Some(agreement)) if agreement.cookies.len() == 8));
    records.insert(3, record(CRITICAL | 0x4000, b"?"));
    assert_eq!(read(&records), Err(RecordFault::UnknownCritical(0x4000)));
}

#[test]
fn each_fault_of_an_answer_is_named() {
    assert_eq!(with(0, record(0x8002, &[0, 1])), Err(RecordFault::Error(1)));
    assert_eq!(with(0, record(0x8003, &[0, 9])), Err(RecordFault::Warning(9)));
    assert_eq!(with(0, record(0x8001, &[0, 1])), Err(RecordFault::NoCommonProtocol));
    assert_eq!(with(0, record(0x8001, &[])), Err(RecordFault::NoCommonProtocol));
    assert_eq!(with(0, record(9, &[])), Err(RecordFault::NoCommonProtocol));
    assert_eq!(with(1, record(0x8004, &[])), Err(RecordFault::NoCommonAead));
    assert_eq!(with(1, record(0x8004, &[0, 30])), Err(RecordFault::NoCommonAead));
    assert_eq!(with(1, record(0x8004, &[0])), Err(RecordFault::Invalid(4)));
    assert_eq!(with(2, record(1, &[0, 0])), Err(RecordFault::Repeated(1)));
    assert_eq!(with(2, record(4, &[0, 17])), Err(RecordFault::Repeated(4)));
    assert_eq!(with(2, record(7, &[0, 0])), Err(RecordFault::Invalid(7)));
    assert_eq!(with(2, record(6, b"a b")), Err(RecordFault::Invalid(6)));
    assert_eq!(with(2, record(6, &[b'a'; 254])), Err(RecordFault::Invalid(6)));
    assert_eq!(read(&[&usual()[..2], &[end()]].concat()), Err(RecordFault::NoCookies));
    let unusable = [record(5, &[]), record(5, &[1; 2000])];
    assert_eq!(read(&[&usual()[..2], &unusable, &[end()]].concat()), Err(RecordFault::NoCookies));
}

#[test]
fn megabyte_of_records_is_refused_early() {
    let long = RecordFault::LongRecord { kind: 5, octets: 65_535 };
    assert_eq!(Reader::default().push(&[0, 5, 0xff, 0xff]), Err(long));
    let mut reader = Reader::default();
    let records = record(0x4000, &[0; 1000]);
    let taken = (0..1000).take_while(|_| reader.push(&records) == Ok(None)).count();
    assert!(taken <= MAX_OCTETS / 1000, "{taken}");
    let mut reader = Reader::default();
    let taken = (0..1000).take_while(|_| reader.push(&record(0x4000, &[])) == Ok(None)).count();
    assert_eq!(taken, MAX_RECORDS);
}

proptest! {
    #[test]
    fn any_octets_are_read_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..600), split in 0_usize..600) {
        let (first, second) = octets.split_at(split.min(octets.len()));
        let mut reader = Reader::default();
        if reader.push(first) == Ok(None) {
            let _ = reader.push(second);
        }
        prop_assert!(reader.unread.len() <= octets.len() && reader.cookies.len() <= FULL_STOCK);
    }
}
