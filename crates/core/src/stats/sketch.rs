//! A mergeable quantile sketch for signed values: the DDSketch of Masson, Rim and Lee (VLDB 2019), kept sparse.
//!
//! Negative and positive values have separate buckets, with one for zero between them. The estimate of a value between
//! [`SMALLEST`] and [`LARGEST`] is within [`RELATIVE_ACCURACY`] of it. Buckets are never collapsed, so merging any
//! number of sketches in any order gives the sketch of all their values. A bucket takes 8 bytes and only the buckets in
//! use exist: an hour of a quiet server takes some hundred bytes, and a dense store (sketches-ddsketch) at least a
//! kilobyte for each sign. With at most [`Sketch::MAX_BUCKETS`] buckets, a sketch never exceeds 34 kB.

use std::sync::LazyLock;

use thiserror::Error;

/// The largest relative error of an estimate: 1 %.
pub const RELATIVE_ACCURACY: f64 = 0.01;

/// Magnitudes up to this (1 ns) count as zero.
pub const SMALLEST: f64 = 1e-9;

/// Magnitudes above this (the 136 years of an NTP era, in seconds) count as this.
pub const LARGEST: f64 = 4_294_967_296.0;

/// The first octet of [`Sketch::to_bytes`]. Changes with the layout, the accuracy or the range.
const VERSION: u8 = 1;

/// The width of a bucket on the logarithmic axis: ln γ with γ = (1 + α) / (1 − α).
static LN_GAMMA: LazyLock<f64> = LazyLock::new(|| ((1.0 + RELATIVE_ACCURACY) / (1.0 - RELATIVE_ACCURACY)).ln());

/// The bucket of [`LARGEST`]. A test compares it with the formula.
const LAST_INDEX: i16 = 2146;

/// Why bytes are not a sketch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SketchError {
    /// The first octet is not a version this program knows.
    #[error("sketch version {0} is not known to this program")]
    Version(u8),
    /// The bytes end within a number, or there are none.
    #[error("the sketch is cut short")]
    Truncated,
    /// A bucket is out of range, out of order or empty, or the counts overflow.
    #[error("the sketch is damaged: a bucket is out of range, out of order or empty")]
    Bucket,
    /// Bytes follow the last bucket.
    #[error("the sketch is followed by bytes that do not belong to it")]
    Trailing,
}

/// Index and count. The index carries the sign of its values and rises with them; 0 is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bucket {
    index: i16,
    count: u32,
}

/// The distribution of a set of signed values, within [`RELATIVE_ACCURACY`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sketch {
    /// Sorted by index, each index at most once, no count zero.
    buckets: Vec<Bucket>,
    count: u64,
}

impl Sketch {
    /// The most buckets that can exist: both signs and zero.
    pub const MAX_BUCKETS: usize = 2 * LAST_INDEX as usize + 1;

    /// Creates an empty sketch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one value. NaN and infinities are rejected.
    ///
    /// Returns whether the value was added. Costs a binary search, and a move of at most
    /// [`Sketch::MAX_BUCKETS`] buckets for a value whose bucket is new.
    pub fn add(&mut self, value: f64) -> bool {
        if !value.is_finite() {
            return false;
        }
        self.add_bucket(Bucket { index: index_of(value), count: 1 });
        true
    }

    /// Adds all values of `other`.
    pub fn merge(&mut self, other: &Self) {
        if self.buckets.is_empty() {
            self.clone_from(other);
            return;
        }
        let mine = std::mem::take(&mut self.buckets);
        self.buckets = merge_sorted(&mine, &other.buckets);
        self.count = self.count.saturating_add(other.count);
    }

    /// The number of values.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The `q`-quantile by the rule of NumPy and Prometheus (type 7: rank `q·(n−1)`, linear between the two values
    /// around it). `None` when nothing was counted or `q` is not within 0 to 1.
    ///
    /// The error is at most [`RELATIVE_ACCURACY`] of the larger magnitude of the two values around the rank, or
    /// [`SMALLEST`].
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        if self.count == 0 || !(0.0..=1.0).contains(&q) {
            return None;
        }
        let rank = q * (self.count - 1) as f64;
        let low = self.value_at(rank.floor() as u64);
        let high = self.value_at(rank.ceil() as u64);
        Some(low + (high - low) * rank.fract())
    }

    /// The sketch of the magnitudes of the same values.
    #[must_use]
    pub fn magnitudes(&self) -> Self {
        let mirrored = self.buckets.iter().rev().map(|bucket| Bucket { index: -bucket.index, ..*bucket });
        let negative: Vec<_> = mirrored.filter(|bucket| bucket.index > 0).collect();
        let positive = &self.buckets[self.buckets.partition_point(|bucket| bucket.index < 0)..];
        Self { buckets: merge_sorted(&negative, positive), count: self.count }
    }

    /// Each bucket in order: its value and its count, for histograms.
    pub fn values(&self) -> impl Iterator<Item = (f64, u64)> {
        self.buckets.iter().map(|bucket| (value_of(bucket.index), u64::from(bucket.count)))
    }

    /// The memory behind this sketch in bytes, allocation included.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.buckets.capacity() * size_of::<Bucket>()
    }

    /// A compact form for storage: version, number of buckets, then the distance to the next index and the count of
    /// each, all as LEB128. About three bytes a bucket.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(4 + 3 * self.buckets.len());
        bytes.push(VERSION);
        put_varint(&mut bytes, self.buckets.len() as u64);
        let mut previous = -i64::from(LAST_INDEX) - 1;
        for bucket in &self.buckets {
            let index = i64::from(bucket.index);
            put_varint(&mut bytes, (index - previous) as u64);
            put_varint(&mut bytes, u64::from(bucket.count));
            previous = index;
        }
        bytes
    }

    /// The inverse of [`Sketch::to_bytes`]; accepts any bytes.
    ///
    /// # Errors
    /// The reason if the bytes are not exactly one sketch of this version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SketchError> {
        let (&version, mut rest) = bytes.split_first().ok_or(SketchError::Truncated)?;
        if version != VERSION {
            return Err(SketchError::Version(version));
        }
        let expected = take_varint(&mut rest)?;
        let mut sketch = Self::new();
        let mut previous = -i64::from(LAST_INDEX) - 1;
        for _ in 0..expected {
            let bucket = take_bucket(&mut rest, previous)?;
            previous = i64::from(bucket.index);
            sketch.count += u64::from(bucket.count);
            sketch.buckets.push(bucket);
        }
        if rest.is_empty() { Ok(sketch) } else { Err(SketchError::Trailing) }
    }

    fn add_bucket(&mut self, new: Bucket) {
        self.count = self.count.saturating_add(u64::from(new.count));
        match self.buckets.binary_search_by_key(&new.index, |bucket| bucket.index) {
            Ok(at) => self.buckets[at].count = self.buckets[at].count.saturating_add(new.count),
            Err(at) => self.buckets.insert(at, new),
        }
    }

    /// The estimate of the value that has `rank` values before it.
    fn value_at(&self, rank: u64) -> f64 {
        let mut before = 0;
        for bucket in &self.buckets {
            before += u64::from(bucket.count);
            if before > rank {
                return value_of(bucket.index);
            }
        }
        self.buckets.last().map_or(0.0, |bucket| value_of(bucket.index))
    }
}

impl Extend<f64> for Sketch {
    fn extend<I: IntoIterator<Item = f64>>(&mut self, values: I) {
        for value in values {
            self.add(value);
        }
    }
}

/// Bucket `k` holds the magnitudes in (SMALLEST·γ^(k−1), SMALLEST·γ^k].
fn index_of(value: f64) -> i16 {
    let magnitude = value.abs().min(LARGEST);
    if magnitude <= SMALLEST {
        return 0;
    }
    let index = ((magnitude / SMALLEST).ln() / *LN_GAMMA).ceil().clamp(1.0, f64::from(LAST_INDEX)) as i16;
    if value < 0.0 { -index } else { index }
}

/// The value that is within α of every value of the bucket: 2γ^k / (γ + 1), which is γ^k · (1 − α).
fn value_of(index: i16) -> f64 {
    if index == 0 {
        return 0.0;
    }
    let upper_edge = SMALLEST * (f64::from(index.abs()) * *LN_GAMMA).exp();
    (upper_edge * (1.0 - RELATIVE_ACCURACY)).copysign(f64::from(index))
}

fn merge_sorted(a: &[Bucket], b: &[Bucket]) -> Vec<Bucket> {
    let mut merged = Vec::with_capacity(a.len().max(b.len()));
    let (mut a, mut b) = (a.iter().copied().peekable(), b.iter().copied().peekable());
    while let (Some(x), Some(y)) = (a.peek().copied(), b.peek().copied()) {
        let mut next = if x.index <= y.index { x } else { y };
        if x.index == y.index {
            next.count = x.count.saturating_add(y.count);
        }
        a.next_if(|bucket| bucket.index == next.index);
        b.next_if(|bucket| bucket.index == next.index);
        merged.push(next);
    }
    merged.extend(a);
    merged.extend(b);
    merged
}

fn take_bucket(rest: &mut &[u8], previous: i64) -> Result<Bucket, SketchError> {
    let distance = take_varint(rest)?;
    let count = take_varint(rest)?;
    let distance = i64::try_from(distance).ok().filter(|d| (1..=i64::from(u16::MAX)).contains(d));
    let index = previous + distance.ok_or(SketchError::Bucket)?;
    if index > i64::from(LAST_INDEX) || count == 0 {
        return Err(SketchError::Bucket);
    }
    let count = u32::try_from(count).map_err(|_| SketchError::Bucket)?;
    Ok(Bucket { index: index as i16, count })
}

fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn take_varint(rest: &mut &[u8]) -> Result<u64, SketchError> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let (&byte, tail) = rest.split_first().ok_or(SketchError::Truncated)?;
        *rest = tail;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(SketchError::Bucket)
}

#[cfg(test)]
mod tests;
