//! How long the certificate of the NTS key exchange is still valid, and the state that follows for `check`.

use jiff::Timestamp;

use super::super::measured::Measured;
use super::args::CheckArgs;
use super::state::State;

const DAY_S: f64 = 86_400.0;

/// Remaining validity in seconds; negative after the end. `None` without `--nts`.
fn left_s(measured: &Measured) -> Option<f64> {
    Some(measured.nts.as_ref()?.certificate()?.left_s(Timestamp::now()))
}

pub(super) fn judge(args: &CheckArgs, measured: &Measured) -> State {
    match (args.nts_certificate, left_s(measured)) {
        (None, _) => State::Ok,
        (Some(_), None) => State::Unknown,
        // A smaller value is worse, so both are negated.
        (Some(limits), Some(left_s)) => limits.judge(-left_s),
    }
}

pub(super) fn describe(args: &CheckArgs, measured: &Measured) -> Option<String> {
    let days = left_s(measured)? / DAY_S;
    Some(format!("certificate for {days:.0} more days{}", judge(args, measured).mark()))
}

/// `value[unit];warning;critical;min;max`; a limit with a colon is a lower one.
pub(super) fn performance(args: &CheckArgs, measured: &Measured) -> Option<String> {
    let shown = |limit: Option<f64>| limit.map(|limit| format!("{}:", -limit)).unwrap_or_default();
    let limits = args.nts_certificate;
    let (warning, critical) = (shown(limits.map(|it| it.warning)), shown(limits.and_then(|it| it.critical)));
    Some(format!("{:.0}s;{warning};{critical};;", left_s(measured)?))
}
