//! The thread of an output under faults: failing, panicking, slow and stopped writers. No accepted sample may be lost
//! silently.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use ntp_monitor::sinks::queue::SinkQueue;
use ntp_monitor::sinks::worker::{self, BatchWriter, WriteError, WriterHandle};
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::sample::{Outcome, Sample, ServerIdent};

const DEADLINE: Duration = Duration::from_secs(20);

/// The result of the n-th batch of a fake output.
type Plan = fn(u32) -> Result<(), WriteError>;

struct FakeOutput {
    plan: Plan,
    attempts: Arc<AtomicU32>,
    written: Arc<Mutex<Vec<Arc<Sample>>>>,
}

impl BatchWriter for FakeOutput {
    type Command = Sender<&'static str>;

    fn write(&mut self, batch: &[Arc<Sample>]) -> Result<(), WriteError> {
        (self.plan)(self.attempts.fetch_add(1, Ordering::SeqCst))?;
        self.written.lock().unwrap().extend_from_slice(batch);
        Ok(())
    }

    fn command(&mut self, answer: Sender<&'static str>) {
        answer.send("done").unwrap();
    }

    fn tick(&mut self, _: Stamp) -> Result<(), WriteError> {
        Ok(())
    }
}

/// An output with its queue; each `start` is one incarnation of its thread.
struct Rig {
    plan: Plan,
    attempts: Arc<AtomicU32>,
    queue: SinkQueue<Arc<Sample>>,
    next: SinkQueue<Arc<Sample>>,
    handle: WriterHandle<Sender<&'static str>>,
    written: Arc<Mutex<Vec<Arc<Sample>>>>,
}

/// Sends a message when the thread that holds it ends, as a death notice does.
struct Guard(Sender<bool>);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.send(std::thread::panicking());
    }
}

impl Rig {
    fn new(plan: Plan) -> Self {
        Self {
            plan,
            attempts: Arc::default(),
            queue: SinkQueue::new("fake", 1000),
            next: SinkQueue::new("next", 1000),
            handle: WriterHandle::default(),
            written: Arc::default(),
        }
    }

    /// Starts an incarnation; the receiver gets whether it panicked when it ends.
    fn start(&self) -> Receiver<bool> {
        let writer =
            FakeOutput { plan: self.plan, attempts: Arc::clone(&self.attempts), written: Arc::clone(&self.written) };
        let log = slog::Logger::root(slog::Discard, slog::o!());
        let (death, ended) = bounded(1);
        worker::spawn(writer, &self.queue, Some(self.next.clone()), &self.handle, &log, Guard(death)).unwrap();
        ended
    }

    fn offer(&self, numbers: std::ops::Range<i64>) {
        for n in numbers {
            let at = Stamp::new(n, n, 0);
            self.queue.offer(Arc::new(Sample::unasked(at, ServerIdent::named("a"), Outcome::Timeout, 64.0)));
        }
    }

    fn written(&self) -> Vec<i64> {
        self.written.lock().unwrap().iter().map(|sample| sample.at.wall_ns).collect()
    }

    fn drain(&self) {
        self.handle.drain(Instant::now() + DEADLINE).recv_timeout(DEADLINE).unwrap();
    }
}

#[test]
fn samples_are_written_in_order_and_passed_on() {
    let rig = Rig::new(|_| Ok(()));
    let ended = rig.start();
    rig.offer(0..300);
    rig.drain();
    assert_eq!(ended.recv_timeout(DEADLINE), Ok(false));
    assert_eq!(rig.written(), (0..300).collect::<Vec<_>>());
    assert_eq!((rig.next.gauge().depth, rig.handle.gauge().written), (300, 300));
}

#[test]
fn failed_batch_is_retried_without_blocking_the_next_output() {
    let rig = Rig::new(|attempt| if attempt < 3 { Err(WriteError("disk full".into())) } else { Ok(()) });
    rig.start();
    rig.offer(0..10);
    let passed_on = rig.next.exit();
    let first = passed_on.recv_timeout(DEADLINE).unwrap();
    assert_eq!(first.at.wall_ns, 0);
    rig.offer(10..20);
    let passed: Vec<i64> = (1..20).map(|_| passed_on.recv_timeout(DEADLINE).unwrap().at.wall_ns).collect();
    assert_eq!(passed, (1..20).collect::<Vec<_>>());
    rig.drain();
    assert_eq!(rig.written(), (0..20).collect::<Vec<_>>());
    let gauge = rig.handle.gauge();
    assert_eq!((gauge.failures, gauge.failing, gauge.last_error.as_deref()), (3, false, Some("disk full")));
    assert_eq!(passed_on.try_iter().count(), 0, "passed on once, not at each attempt");
}

#[test]
fn a_batch_survives_the_panic_of_its_writer() {
    let rig = Rig::new(|attempt| if attempt == 0 { panic!("told to") } else { Ok(()) });
    let ended = rig.start();
    rig.offer(0..5);
    assert_eq!(ended.recv_timeout(DEADLINE), Ok(true));
    rig.offer(5..7);
    rig.start();
    rig.drain();
    assert_eq!(rig.written(), (0..7).collect::<Vec<_>>());
}

#[test]
fn batch_that_makes_every_writer_panic_is_dropped_and_counted() {
    let rig = Rig::new(|_| panic!("told to"));
    rig.offer(0..5);
    for _ in 0..3 {
        assert_eq!(rig.start().recv_timeout(DEADLINE), Ok(true));
    }
    let healthy = Rig { plan: |_| Ok(()), ..rig };
    healthy.start();
    healthy.offer(5..6);
    healthy.drain();
    assert_eq!(healthy.written(), [5]);
    assert_eq!(healthy.handle.gauge().abandoned, 5);
}

#[test]
fn samples_unwritten_at_the_drain_deadline_are_counted() {
    let rig = Rig::new(|_| Err(WriteError("read-only file system".into())));
    rig.offer(0..8);
    let ended = rig.start();
    rig.handle.drain(Instant::now()).recv_timeout(DEADLINE).unwrap();
    assert_eq!(ended.recv_timeout(DEADLINE), Ok(false));
    assert_eq!(rig.handle.gauge().abandoned, 8);
}

/// As at a reload while the disk is full.
#[test]
fn unwritten_samples_are_written_by_the_successor() {
    let rig = Rig::new(|attempt| if attempt < 1 { Err(WriteError("disk full".into())) } else { Ok(()) });
    rig.offer(0..8);
    let ended = rig.start();
    rig.handle.hand_over(Instant::now()).recv_timeout(DEADLINE).unwrap();
    assert_eq!(ended.recv_timeout(DEADLINE), Ok(false));
    assert_eq!((rig.written().len(), rig.handle.gauge().abandoned), (0, 0));
    rig.offer(8..10);
    rig.start();
    rig.drain();
    assert_eq!(rig.written(), (0..10).collect::<Vec<_>>());
    assert_eq!(rig.next.exit().try_iter().count(), 10, "passed on once");
}

#[test]
fn a_flush_completes_when_everything_is_written() {
    let rig = Rig::new(|attempt| if attempt < 2 { Err(WriteError("disk full".into())) } else { Ok(()) });
    rig.offer(0..5);
    rig.start();
    let mut settled = rig.handle.settled();
    until(|| settled.try_recv().is_ok());
    assert_eq!((rig.written().len(), rig.handle.gauge().failures), (5, 2));
    let mut again = rig.handle.settled();
    until(|| again.try_recv().is_ok());
    rig.drain();
}

#[test]
fn a_command_is_answered_while_the_output_fails() {
    let rig = Rig::new(|_| Err(WriteError("disk full".into())));
    rig.start();
    rig.offer(0..1);
    let (answer, answered) = bounded(1);
    rig.handle.command(answer);
    assert_eq!(answered.recv_timeout(DEADLINE), Ok("done"));
    rig.handle.drain(Instant::now());
}

#[test]
fn liveness_of_the_thread_is_visible() {
    static GATE: Mutex<()> = Mutex::new(());
    let closed = GATE.lock().unwrap();
    let rig = Rig::new(|_| {
        drop(GATE.lock().unwrap());
        Ok(())
    });
    assert_eq!(rig.handle.gauge().turn_mono_ns, 0);
    let _ended = rig.start();
    rig.offer(0..1);
    until(|| rig.attempts.load(Ordering::SeqCst) == 1);
    // It hangs in its first attempt, which began after its last loop, and starts no other.
    let hung = ntp_monitor::clock::now().mono_ns;
    let turned = || rig.handle.gauge().turn_mono_ns;
    assert!((1..hung).contains(&turned()));
    drop(closed);
    until(|| turned() > hung);
}

fn until(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
}
