//! Many comparisons as one page of HTML: a matrix of comparisons by keyspaces, each leading to its report. No script, nothing from
//! elsewhere, and readable in a browser without colours.

use std::collections::BTreeSet;

use maud::{DOCTYPE, Markup, html};

use crate::bulk::{Ended, Summary};
use crate::manifest::RollupState;
use crate::model::printable;
use crate::report::html::STYLE;
use crate::report::units::time_utc;

/// The most cells of the matrix: a browser shows no more at ease. Beyond them, only keyspaces in which something is not equal have a
/// column, as many as there is room for.
pub const MAX_CELLS: usize = 200_000;

const CELLS: &str = "td.different{background:#f6b3b3}td.unverified{background:#f6dfb3}td.equal{background:#c9e8c9}";

/// The page.
pub fn html(summary: &Summary) -> String {
    let title = summary.tally().sentence(None);
    let (keyspaces, left_out) = columns(summary);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head { meta charset="utf-8"; title { (title) } style { (STYLE) (CELLS) } }
            body {
                h1 { (title) }
                @if !summary.finished { p { "The run was interrupted; the same command goes on." } }
                p { "began " (time_utc(summary.began_at)) ", "
                    (if summary.finished { "ended" } else { "as of" }) " " (time_utc(summary.ended_at)) }
                @if left_out > 0 {
                    p { (left_out) " keyspaces have no column here; each comparison's own page has them." }
                }
                table {
                    tr { th { "comparison" } th { "outcome" }
                        @for keyspace in &keyspaces { th { (printable(keyspace)) } }
                        th { "result" } }
                    @for ended in &summary.comparisons { (row(ended, &keyspaces)) }
                }
            }
        }
    };
    page.into_string()
}

fn row(ended: &Ended, keyspaces: &[&str]) -> Markup {
    let name = printable(&ended.name);
    html! {
        tr {
            td { @match &ended.page { Some(page) => a href=(page) { (name) }, None => (name) } }
            td { (ended.outcome.name()) }
            @for keyspace in keyspaces {
                @match ended.keyspaces.get(*keyspace) {
                    Some(state) => td class=(state.name()) {
                        @match &ended.page {
                            Some(page) if *state != RollupState::Equal => a href=(page) { (state.name()) },
                            _ => (state.name()),
                        }
                    },
                    None => td {},
                }
            }
            td { (printable(&ended.message)) }
        }
    }
}

/// The keyspaces that have a column, and how many have none.
fn columns(summary: &Summary) -> (Vec<&str>, usize) {
    let names = |wanted: &dyn Fn(RollupState) -> bool| -> BTreeSet<&str> {
        let all = summary.comparisons.iter().flat_map(|ended| &ended.keyspaces);
        all.filter(|(_, state)| wanted(**state)).map(|(name, _)| name.as_str()).collect()
    };
    let all = names(&|_| true);
    let room = MAX_CELLS / summary.comparisons.len().max(1);
    if all.len() <= room {
        return (all.into_iter().collect(), 0);
    }
    let shown: Vec<&str> = names(&|state| state != RollupState::Equal).into_iter().take(room).collect();
    let left_out = all.len() - shown.len();
    (shown, left_out)
}

#[cfg(test)]
mod tests {
    use super::super::samples::{ended, summary};
    use super::*;
    use crate::bulk::Ending;

    #[test]
    fn the_matrix_leads_to_the_reports_and_no_name_is_markup() {
        let mut summary = summary();
        summary.comparisons[0].name = "<b>d".to_owned();
        let page = html(&summary);
        for expected in [
            "<h1>2 equal, 1 different, 1 unreachable</h1>",
            "<th>audit</th><th>shop</th>",
            "<td><a href=\"comparisons/a.html\">&lt;b&gt;d</a></td><td>different</td><td class=\"equal\">equal</td>\
             <td class=\"different\"><a href=\"comparisons/a.html\">different</a></td>",
            "<tr><td>c\\u{1b}\\n</td><td>unreachable</td><td></td><td></td><td>refused</td></tr>",
        ] {
            assert!(page.contains(expected), "{expected}\n{page}");
        }
        assert!(!page.contains("interrupted") && !page.contains("<script"));
        summary.finished = false;
        assert!(html(&summary).contains("The run was interrupted"));
    }

    #[test]
    fn of_too_many_keyspaces_those_have_columns_that_are_not_equal() {
        let mut one = ended("one", Ending::Different);
        one.keyspaces.extend((0..MAX_CELLS).map(|number| (format!("k{number}"), RollupState::Equal)));
        let summary = Summary::new(vec![one], 0, (1, 2), (1, 1));
        let (columns, left_out) = columns(&summary);
        assert_eq!((columns, left_out), (vec!["shop"], MAX_CELLS + 1));
        assert!(html(&summary).contains("<p>200001 keyspaces have no column here"));
    }
}
