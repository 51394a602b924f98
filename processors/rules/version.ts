/**
 * The version of the rules, on every record and pair. It is raised whenever the same answers would lead to other
 * decisions.
 */
export const rulesVersion = '1';
