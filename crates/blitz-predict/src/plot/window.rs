//! What of points and lines lies on the axes. Plotters moves what lies beyond them to their edge.

use std::ops::Range;

use crate::numbers::share;

type Point = (f64, f64);

/// What the axes of a chart show.
#[derive(Debug, Clone)]
pub(super) struct Window {
    pub x: Range<f64>,
    pub y: Range<f64>,
}

impl Window {
    /// Whether the point is on the axes, their ends included.
    pub fn holds(&self, (x, y): Point) -> bool {
        within(x, &self.x) && within(y, &self.y)
    }

    /// The parts of a line that are on the axes.
    pub fn parts(&self, line: impl IntoIterator<Item = Point>) -> Vec<Vec<Point>> {
        let line: Vec<Point> = line.into_iter().collect();
        if let [point] = line[..] {
            return match self.holds(point) {
                true => vec![line],
                false => Vec::new(),
            };
        }
        let mut parts: Vec<Vec<Point>> = Vec::new();
        // Where the last part may go on.
        let mut end = None;
        for pair in line.windows(2) {
            let part = self.segment(pair[0], pair[1]);
            // A line that only touches the end of an axis has no part there.
            let part = part.filter(|[from, to]| from != to || pair[0] == pair[1]);
            if let Some([from, to]) = part {
                match parts.last_mut() {
                    Some(part) if end == Some(from) => part.push(to),
                    _ => parts.push(vec![from, to]),
                }
            }
            end = part.map(|[_, to]| to);
        }
        parts
    }

    /// The edge of an area with what is above or below the axis at its end, and with the points where it gets there.
    pub fn edge(&self, line: impl IntoIterator<Item = Point>) -> Vec<Point> {
        let mut edge: Vec<Point> = Vec::new();
        let mut last: Option<Point> = None;
        for to in line {
            let part = last.and_then(|from| cut(swapped(from), swapped(to), &self.y));
            let crossings = part.into_iter().flatten().map(swapped);
            edge.extend(crossings.filter(|point| Some(*point) != last && *point != to));
            edge.push((to.0, to.1.clamp(self.y.start, self.y.end)));
            last = Some(to);
        }
        edge
    }

    /// The part of a straight line between two points that is on the axes.
    fn segment(&self, from: Point, to: Point) -> Option<[Point; 2]> {
        let [from, to] = cut(from, to, &self.x)?;
        let part = cut(swapped(from), swapped(to), &self.y)?;
        Some(part.map(swapped))
    }
}

/// The part of a straight line between two points whose first numbers are on the axis.
fn cut(from: Point, to: Point, axis: &Range<f64>) -> Option<[Point; 2]> {
    let is_beside = from.0.max(to.0) < axis.start || from.0.min(to.0) > axis.end;
    let moved = |point: Point| match point.0.clamp(axis.start, axis.end) {
        end if end == point.0 => point,
        end => (end, crossing(from, to, end)),
    };
    (!is_beside).then(|| [moved(from), moved(to)])
}

/// The second number of the point between two others that has this first one.
fn crossing(from: Point, to: Point, at: f64) -> f64 {
    let share = share(from.0, to.0, at);
    from.1 * (1.0 - share) + to.1 * share
}

fn swapped((x, y): Point) -> Point {
    (y, x)
}

fn within(value: f64, axis: &Range<f64>) -> bool {
    (axis.start..=axis.end).contains(&value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window() -> Window {
        Window {
            x: 0.0..4.0,
            y: -1.0..1.0,
        }
    }

    #[test]
    fn a_line_that_leaves_and_comes_back_has_two_parts() {
        let line = [(-2.0, 0.0), (1.0, 0.0), (2.0, 2.0), (3.0, 0.0), (9.0, 0.5)];
        let parts = window().parts(line);
        assert_eq!(parts.len(), 2);
        assert_eq!(parts[0], [(0.0, 0.0), (1.0, 0.0), (1.5, 1.0)]);
        assert_eq!(parts[1][..2], [(2.5, 1.0), (3.0, 0.0)]);
        assert_eq!(parts[1][2].0, 4.0);
        assert!((parts[1][2].1 - 0.5 / 6.0).abs() < 1e-15);
    }

    #[test]
    fn a_line_on_the_axes_is_itself() {
        let line = [(0.0, -1.0), (0.1, 0.3), (0.1, 0.3), (4.0, 1.0)];
        assert_eq!(window().parts(line), [line.to_vec()]);
        assert_eq!(window().edge(line), line);
    }

    #[test]
    fn a_line_beyond_the_axes_has_no_parts() {
        for line in [
            [(5.0, 0.0), (5.0, 0.5)],
            [(0.0, 2.0), (4.0, 1.5)],
            [(-3.0, 0.0), (0.5, 3.0)],
            [(f64::MAX, 2.0), (-f64::MAX, 2.0)],
        ] {
            assert!(window().parts(line).is_empty(), "{line:?}");
        }
        assert!(window().parts([(1.0, 7.0)]).is_empty());
        assert!(window().parts([]).is_empty());
        assert_eq!(window().parts([(1.0, 0.7)]), [[(1.0, 0.7)]]);
    }

    #[test]
    fn the_largest_numbers_cross_the_axes() {
        let parts = window().parts([(2.0, f64::MAX), (2.0, -f64::MAX)]);
        assert_eq!(parts, [[(2.0, 1.0), (2.0, -1.0)]]);
        let edge = window().edge([(1.0, f64::MAX), (3.0, -f64::MAX)]);
        let expected = [(1.0, 1.0), (2.0, 1.0), (2.0, -1.0), (3.0, -1.0)];
        assert_eq!(edge, expected);
        // So does what ends on them from far away, which has next to no way to go there.
        let parts = window().parts([(1.0, 1e300), (2.0, 0.5), (3.0, -1e300)]);
        assert_eq!(parts, [[(2.0, 1.0), (2.0, 0.5), (2.0, -1.0)]]);
    }

    #[test]
    fn a_line_that_touches_an_end_of_an_axis_has_no_part_there() {
        assert!(
            window()
                .parts([(1.0, 3.0), (2.0, 1.0), (3.0, 3.0)])
                .is_empty()
        );
        let parts = window().parts([(1.0, 3.0), (2.0, 1.0), (3.0, 0.0)]);
        assert_eq!(parts, [[(2.0, 1.0), (3.0, 0.0)]]);
    }

    #[test]
    fn an_edge_turns_where_it_leaves_the_axis() {
        let edge = window().edge([(0.0, 0.0), (1.0, 4.0), (3.0, -4.0)]);
        let expected = [
            (0.0, 0.0),
            (0.25, 1.0),
            (1.0, 1.0),
            (1.75, 1.0),
            (2.25, -1.0),
            (3.0, -1.0),
        ];
        assert_eq!(edge, expected);
    }
}
