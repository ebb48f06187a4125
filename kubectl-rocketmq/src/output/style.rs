//! Colour, and the rules for when there is any.

use std::fmt;

use clap::ValueEnum;

/// `--color`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// Colour everywhere, also into pipes and files.
    Always,
    /// Colour on a terminal, unless NO_COLOR is set or TERM is dumb.
    #[default]
    Auto,
    /// No colour.
    Never,
}

/// What the environment says about the terminal; read once by the caller, so that the rule itself is pure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Surroundings {
    /// The stream is a terminal.
    pub is_terminal: bool,
    /// NO_COLOR is set to anything but the empty string.
    pub no_color: bool,
    /// TERM is `dumb`.
    pub dumb_terminal: bool,
}

impl ColorChoice {
    /// Whether text for a stream in these surroundings is coloured.
    #[must_use]
    pub fn colours(self, surroundings: Surroundings) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => surroundings.is_terminal && !surroundings.no_color && !surroundings.dumb_terminal,
        }
    }
}

/// Marks text by meaning. Without colour it leaves the text as it is, so no meaning stands in colour alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Style {
    coloured: bool,
}

impl Style {
    /// Text without any codes.
    pub const PLAIN: Self = Self { coloured: false };

    /// With or without colour.
    #[must_use]
    pub fn new(coloured: bool) -> Self {
        Self { coloured }
    }

    /// All is as it should be.
    pub fn good(self, text: impl fmt::Display) -> String {
        self.paint("32", text)
    }

    /// Worth a look.
    pub fn warning(self, text: impl fmt::Display) -> String {
        self.paint("33", text)
    }

    /// Wrong.
    pub fn bad(self, text: impl fmt::Display) -> String {
        self.paint("31", text)
    }

    /// A title.
    pub fn title(self, text: impl fmt::Display) -> String {
        self.paint("1", text)
    }

    /// Beside the point.
    pub fn faint(self, text: impl fmt::Display) -> String {
        self.paint("2", text)
    }

    fn paint(self, code: &str, text: impl fmt::Display) -> String {
        if self.coloured { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMINAL: Surroundings = Surroundings { is_terminal: true, no_color: false, dumb_terminal: false };

    #[test]
    fn colour_only_on_a_willing_terminal() {
        assert!(ColorChoice::Auto.colours(TERMINAL));
        assert!(!ColorChoice::Auto.colours(Surroundings { is_terminal: false, ..TERMINAL }));
        assert!(!ColorChoice::Auto.colours(Surroundings { no_color: true, ..TERMINAL }));
        assert!(!ColorChoice::Auto.colours(Surroundings { dumb_terminal: true, ..TERMINAL }));
    }

    #[test]
    fn the_flag_overrides_the_surroundings() {
        assert!(ColorChoice::Always.colours(Surroundings {
            is_terminal: false,
            no_color: true,
            dumb_terminal: true
        }));
        assert!(!ColorChoice::Never.colours(TERMINAL));
    }

    #[test]
    fn plain_style_adds_nothing() {
        assert_eq!(Style::PLAIN.bad("down"), "down");
        assert_eq!(Style::new(true).bad("down"), "\u{1b}[31mdown\u{1b}[0m");
    }
}
