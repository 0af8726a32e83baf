"""Figures of finished runs, as papers print them: made of records, stored predictions, frozen networks and test images."""
