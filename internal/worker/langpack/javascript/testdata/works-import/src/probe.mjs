import { greet } from "greet";

export const apply = (input) => greet(input);
