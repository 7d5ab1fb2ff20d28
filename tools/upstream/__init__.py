"""Compares the contract with the newest packages of Logto on npm."""
