//! `version`: everything that takes part, and how old it is.

use ops::version::VersionReport;
use rocketmq::text::printable;

use crate::output::document::Document;
use crate::output::page::Page;
use crate::output::section::Sections;
use crate::output::style::Style;

/// The versions as a page.
#[must_use]
pub fn page(report: &VersionReport, style: Style) -> Page {
    let mut sections = Sections::new(style);
    sections.line("cli", printable(&report.cli));
    sections.line("protocol", printable(&report.protocol));
    if let Some(kubernetes) = &report.kubernetes {
        sections.line("kubernetes", printable(kubernetes));
    }
    let agents =
        report.agents.iter().map(|(version, number)| format!("{} ({number})", printable(version))).collect();
    sections.lines("agents", agents);
    Page { text: sections.render(), document: Document::new(report), names: Vec::new() }
}

#[cfg(test)]
mod tests {
    use ops::report::API_VERSION;

    use super::*;

    #[test]
    fn versions_stand_one_a_line() {
        let report = VersionReport {
            api_version: API_VERSION,
            kind: "Version",
            cli: "0.1.0".to_owned(),
            protocol: "1-1".to_owned(),
            kubernetes: Some("v1.34.4".to_owned()),
            agents: [("0.1.0".to_owned(), 4)].into(),
            problems: Vec::new(),
        };
        insta::assert_snapshot!(page(&report, Style::PLAIN).text, @r"
        cli         0.1.0
        protocol    1-1
        kubernetes  v1.34.4
        agents      0.1.0 (4)
        ");
    }
}
