//! Medians and quartiles, and where two lines cross.

/// Lower quartile, median and upper quartile, each the nearest sample.
pub(super) fn quartiles(samples: &[f64]) -> [f64; 3] {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |part: usize| {
        sorted.get(sorted.len().saturating_sub(1) * part / 4).copied().unwrap_or(f64::NAN)
    };
    [at(1), at(2), at(3)]
}

/// The middle one of some samples.
pub(super) fn median(samples: &[f64]) -> f64 {
    quartiles(samples)[1]
}

/// Where the first of two lines through points of the same abscissae gets above the second for
/// good, straight lines between the points; nothing where it is above all along or never gets
/// there.
pub(super) fn crossing(first: &[(f64, f64)], second: &[(f64, f64)]) -> Option<f64> {
    let over: Vec<(f64, f64)> =
        first.iter().zip(second).map(|((x, first), (_, second))| (*x, first - second)).collect();
    over.windows(2).rev().find_map(|pair| match *pair {
        [(left, below), (right, above)] if below <= 0.0 && above > 0.0 => {
            Some(left + (right - left) * -below / (above - below))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_are_samples_whatever_their_order() {
        assert_eq!(quartiles(&[5.0, 1.0, 4.0, 2.0, 3.0]), [2.0, 3.0, 4.0]);
        assert_eq!(quartiles(&[7.0]), [7.0; 3]);
        assert!(quartiles(&[])[1].is_nan());
    }

    #[test]
    fn lines_cross_between_their_points() {
        let rising = [(1.0, 4.0), (101.0, 14.0), (1001.0, 104.0)];
        let flat = [(1.0, 9.0), (101.0, 9.0), (1001.0, 9.0)];
        assert_eq!(crossing(&rising, &flat), Some(51.0));
        assert_eq!(crossing(&flat, &rising), None, "it starts above");
        let dip = [(1.0, 4.0), (101.0, 10.0), (1001.0, 4.0), (2001.0, 14.0)];
        assert_eq!(
            crossing(&dip, &[(1.0, 9.0), (101.0, 9.0), (1001.0, 9.0), (2001.0, 9.0)]),
            Some(1501.0),
            "the last time"
        );
        assert_eq!(crossing(&flat, &[(1.0, 10.0), (101.0, 10.0), (1001.0, 10.0)]), None);
    }
}
