use super::super::values;
use super::Series;

#[test]
fn series_without_findings_takes_at_most_4100_bytes() {
    // What it keeps of its values is tested in `values`.
    let all = size_of::<Series>() + values::KEPT * 10;
    assert!(all <= 4100, "{all} bytes");
}
