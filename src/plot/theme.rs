//! Colours. The series colours are distinguishable with common colour blindness (Okabe and Ito 2008).

use plotters::style::RGBColor;

/// Number of series with their own colour.
pub(super) const SERIES: usize = 7;

/// The colours of a chart. Each colour is used for one purpose, so that a page can replace them by CSS variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theme {
    pub(super) ground: RGBColor,
    pub(super) ink: RGBColor,
    pub(super) faint: RGBColor,
    pub(super) grid: RGBColor,
    /// Limits, failures and events.
    pub(super) alarm: RGBColor,
    /// The series, in order.
    pub(super) series: [RGBColor; SERIES],
}

impl Theme {
    /// Dark on white, for paper and mail.
    pub const LIGHT: Self = Self {
        ground: RGBColor(255, 255, 255),
        ink: RGBColor(0x1b, 0x1f, 0x24),
        faint: RGBColor(0x5b, 0x64, 0x70),
        grid: RGBColor(0xdd, 0xe1, 0xe6),
        alarm: RGBColor(0xc6, 0x28, 0x28),
        series: [
            RGBColor(0x00, 0x72, 0xb2),
            RGBColor(0xe6, 0x9f, 0x00),
            RGBColor(0x00, 0x9e, 0x73),
            RGBColor(0xcc, 0x79, 0xa7),
            RGBColor(0x56, 0xb4, 0xe9),
            RGBColor(0xd5, 0x5e, 0x00),
            RGBColor(0x6f, 0x5a, 0x3e),
        ],
    };

    pub const DARK: Self = Self {
        ground: RGBColor(0x12, 0x17, 0x1d),
        ink: RGBColor(0xe6, 0xea, 0xee),
        faint: RGBColor(0x9a, 0xa5, 0xb1),
        grid: RGBColor(0x2b, 0x33, 0x3d),
        alarm: RGBColor(0xff, 0x6b, 0x6b),
        series: [
            RGBColor(0x4d, 0xa3, 0xe0),
            RGBColor(0xf0, 0xb4, 0x29),
            RGBColor(0x2f, 0xc4, 0x96),
            RGBColor(0xe0, 0x9a, 0xc3),
            RGBColor(0x8f, 0xd3, 0xff),
            RGBColor(0xf5, 0x8b, 0x3f),
            RGBColor(0xb8, 0x9f, 0x7a),
        ],
    };

    /// The colour of the n-th series.
    pub(super) fn of_series(&self, n: usize) -> RGBColor {
        self.series[n % SERIES]
    }

    /// Every colour with its name, in a fixed order, for pages that replace them.
    pub fn colors(&self) -> impl Iterator<Item = (String, String)> {
        let named = [
            ("ground", self.ground),
            ("ink", self.ink),
            ("faint", self.faint),
            ("grid", self.grid),
            ("alarm", self.alarm),
        ];
        let series = self.series.into_iter().enumerate().map(|(n, color)| (format!("series-{n}"), color));
        let all = named.into_iter().map(|(name, color)| (name.to_owned(), color)).chain(series);
        all.map(|(name, RGBColor(r, g, b))| (name, format!("#{r:02X}{g:02X}{b:02X}")))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_color_has_one_purpose() {
        for theme in [Theme::LIGHT, Theme::DARK] {
            let colors: BTreeSet<_> = theme.colors().map(|(_, color)| color).collect();
            assert_eq!(colors.len(), 5 + SERIES);
        }
    }
}
