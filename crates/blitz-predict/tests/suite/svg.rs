//! The lines of an SVG that a plot has drawn.

/// The points of each, in pixels.
pub fn polylines(svg: &str) -> Vec<Vec<(f64, f64)>> {
    polylines_with(svg, "")
}

/// The points of each whose element has the attribute.
pub fn polylines_with(svg: &str, attribute: &str) -> Vec<Vec<(f64, f64)>> {
    let lines = svg
        .lines()
        .filter(|line| line.starts_with("<polyline") && line.contains(attribute));
    let points = lines.map(|line| {
        let from = line.find("points=\"").unwrap() + 8;
        let to = from + line[from..].find('"').unwrap();
        let pairs = line[from..to].split_whitespace();
        let pairs = pairs.map(|pair| pair.split_once(',').unwrap());
        pairs
            .map(|(x, y)| (x.parse().unwrap(), y.parse().unwrap()))
            .collect()
    });
    points.collect()
}
