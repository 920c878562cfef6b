//! [`Line`]: what a sensor counts, in the unit that people read.

/// A straight line through two points: (count, value).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    from: (i32, i32),
    to: (i32, i32),
}

impl Line {
    /// Through both points, each a count and its value.
    pub const fn through(from: (i32, i32), to: (i32, i32)) -> Self {
        Self { from, to }
    }

    /// The value at a count, rounded towards the first point; `None` where both points have the same
    /// count (a chip whose calibration was never written) or the value does not fit.
    pub fn at(&self, count: i32) -> Option<i32> {
        let run = i64::from(self.to.0) - i64::from(self.from.0);
        let rise = i64::from(self.to.1) - i64::from(self.from.1);
        let step = i64::from(count) - i64::from(self.from.0);
        let beyond = step.checked_mul(rise)?.checked_div(run)?;
        i32::try_from(i64::from(self.from.1).checked_add(beyond)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_points_lie_on_the_line_and_so_does_the_middle() {
        let falling = Line::through((876, 27_000), (855, 37_000));
        assert_eq!(falling.at(876), Some(27_000));
        assert_eq!(falling.at(855), Some(37_000));
        assert_eq!(falling.at(897), Some(17_000));
        let rising = Line::through((1_000, 30_000), (1_400, 130_000));
        assert_eq!(rising.at(1_200), Some(80_000));
    }

    #[test]
    fn a_chip_without_calibration_has_no_reading() {
        assert_eq!(Line::through((0xFFFF, 30), (0xFFFF, 130)).at(5), None);
    }

    #[test]
    fn a_value_that_does_not_fit_is_none() {
        let steep = Line::through((0, i32::MIN), (1, i32::MAX));
        assert_eq!(steep.at(i32::MAX), None);
        assert_eq!(steep.at(i32::MIN), None);
    }
}
