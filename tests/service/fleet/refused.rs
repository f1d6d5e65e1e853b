//! A message that the store cannot take stops no other one.

use ntp_monitor::fleet::envelope::{Head, decode, encode};
use ntp_monitor::sinks::worker::BatchWriter;
use ntp_monitor::store::read::Reader;
use ntp_monitor::store::{Batch, Command, Position, Store};
use slog::{Discard, Logger, o};

use super::late::samples;
use crate::common::stored::options;

#[test]
fn message_that_cannot_be_stored_stops_no_other_vantage() {
    let (dir, now_ns) = (tempfile::tempdir().unwrap(), ntp_monitor::clock::now().wall_ns);
    let options = options(dir.path());
    let path = options.path.clone();
    let mut writer = Store::open(options, &Logger::root(Discard, o!())).unwrap().writer(None);
    // Stands for any value that SQLite or a summary refuses.
    let poison = "CREATE TRIGGER poison BEFORE INSERT ON fleet_range WHEN new.vantage = 'ber' \
                  BEGIN SELECT raise(ABORT, 'no such value'); END";
    rusqlite::Connection::open(&path).unwrap().execute_batch(poison).unwrap();
    let message = |v: usize, vantage: &str| {
        let incarnation = format!("{v:032x}");
        let head = Head { vantage, incarnation: &incarnation, first_seq: 0, lost_before: 0 };
        decode(vantage, &encode(head, &samples(v, now_ns))).unwrap()
    };
    let position = Position { stream: "s".into(), vantage: "ams".into(), created: "now".into(), sequence: 3 };
    let received = ["ams", "ber", "lon"].into_iter().enumerate().map(|(v, vantage)| message(v, vantage)).collect();
    let (reply, mut answer) = tokio::sync::oneshot::channel();
    writer.command(Command::FleetReceive {
        batch: Batch { positions: vec![position.clone()], received, refused: Vec::new(), own: None },
        reply,
    });
    let accepted = answer.try_recv().unwrap().unwrap();
    assert_eq!((accepted.samples.len(), accepted.refused.len()), (600, 1), "{:?}", accepted.refused);
    assert!(&*accepted.refused[0].0 == "ber" && accepted.refused[0].1.contains("no such value"));
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.fleet_positions("s").unwrap(), [position], "reading goes on");
    let rows = reader.fleet_vantages().unwrap();
    let counted: Vec<_> = rows.iter().map(|row| (row.vantage.as_str(), row.received, row.lost, row.refused)).collect();
    assert_eq!(counted, [("ams", 300, 0, 0), ("ber", 0, 0, 1), ("lon", 300, 0, 0)]);
}
