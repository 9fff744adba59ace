"""Sheets: many dreams on one labelled page, the atlas of a network and the grid."""
