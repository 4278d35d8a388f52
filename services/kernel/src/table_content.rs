//! The column of contents: empty in almost all rows, so it is padded when somebody looks.

use super::{Column, Table};
use crate::content::Names;
use crate::map::Attributes;
use crate::pairs::Pairs;

impl Table {
    /// Keeps attributes of these names apart, if the table has the column of contents.
    pub fn keep_apart(&mut self, names: &Names) {
        let Some((column, sources)) = self.spec.content else {
            return;
        };
        if self.attributes(column).is_some() {
            for &source in sources {
                if let Some(map) = self.attributes(source) {
                    map.keep_apart(names);
                }
            }
        }
    }

    /// Appends what was kept apart from these fields' attributes in the present row to the column
    /// of contents. Rows without any are padded when somebody looks.
    #[inline(always)]
    pub fn push_content<const N: usize>(&mut self, sources: [usize; N]) {
        let found = sources.iter().any(|&source| match &self.columns[source] {
            Column::Attributes(map) => map.has_aside(),
            _ => false,
        });
        if found {
            self.move_content(&sources);
        }
    }

    #[cold]
    #[inline(never)]
    fn move_content(&mut self, sources: &[usize]) {
        let mut row = Pairs::default();
        for &source in sources {
            if let Some(map) = self.attributes(source) {
                map.take_aside(&mut row);
            }
        }
        self.pad_content();
        if let Some(content) = self.content() {
            content.push_pairs(&row);
        }
    }

    /// The column of contents, if the table has it.
    fn content(&mut self) -> Option<&mut Attributes> {
        self.attributes(self.spec.content?.0)
    }

    /// Writes down the empty rows behind the last one with contents.
    pub(super) fn pad_content(&mut self) {
        let rows = self.extent.rows;
        if let Some(content) = self.content() {
            content.pad(rows);
        }
    }

    /// Bytes of the rows that are not padded yet, all of them younger than the mark.
    pub(super) fn unpadded_bytes(&self) -> (usize, usize) {
        let content = self.spec.content.map(|(number, _)| &self.columns[number]);
        let bytes = match content {
            Some(Column::Attributes(map)) => 8 * (self.extent.rows - map.rows()),
            _ => 0,
        };
        (bytes, bytes)
    }
}
