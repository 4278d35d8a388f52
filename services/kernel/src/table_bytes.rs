//! How large the pending rows are, and what a block of them would be at most.

use super::{Column, Table};
use crate::buffer::Offsets;
use crate::layout::Source;
use crate::map::Part;

impl Table {
    /// Bytes that the columns hold or that their runs stand for, and those of them that
    /// `payload` appended. A LowCardinality key number counts as four bytes.
    pub fn nbytes(&self, payload: u64) -> (usize, usize) {
        let columns = self.columns.iter().map(|column| match column {
            Column::Text(text) => text.nbytes(),
            Column::Numbers(numbers) => numbers.nbytes(),
            Column::Ids(ids) => ids.nbytes(),
            Column::Attributes(map) => map.nbytes(),
            Column::Arrays(arrays) => arrays.nbytes(),
            Column::Absent => (0, 0),
        });
        let groups = self.groups.iter().map(Offsets::nbytes);
        let (all, new) = columns
            .chain(groups)
            .chain([self.unpadded_bytes()])
            .chain([self.runs.nbytes()])
            .fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
        (all, if self.touched == payload { new } else { 0 })
    }

    /// Bytes of a block's body besides its rows, at most.
    pub fn head_bytes(&self) -> usize {
        // Two lengths of names; version, flags and two counts of keys, and of values: LowCardinality.
        let columns = self.shown.iter();
        let columns =
            columns.map(|shown| 2 * 10 + 2 * 32 + shown.name.len() + shown.type_name.len());
        columns.sum::<usize>() + 8 + 2 * 10
    }

    /// Bytes that the rows take in a block's body, at most: as `nbytes`, and what stands there
    /// more than once, or for no field.
    pub fn body_bytes(&self) -> usize {
        let rows = self.extent.rows;
        let shared: usize = self.groups.iter().map(|group| group.nbytes().0).sum();
        let again = self.shown.iter().map(|shown| match shown.source {
            Source::IngestId => 8 * rows,
            Source::Field(field, group, part) => {
                let ends = group.map_or(0, |group| self.groups[group].nbytes().0);
                let pairs = match (&self.columns[field], part, group) {
                    (Column::Attributes(_), Part::Keys | Part::Values, None) => 8 * rows,
                    (Column::Attributes(map), Part::Keys | Part::Values, _) => map.end_bytes(),
                    _ => 0,
                };
                ends + pairs
            }
        });
        self.nbytes(0).0 - shared + again.sum::<usize>()
    }
}
