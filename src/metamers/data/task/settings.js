// Times in milliseconds (Geirhos et al. 2018 show images for 200 ms and masks for 200 ms).
const SETTINGS = {
  fixation_ms: 300,
  image_ms: 200,
  mask_ms: 200,
  response_ms: null, // null: as long as they take; a trial without an answer counts as "na"
  image_scale: 2, // pixels of the screen for a pixel of the image
  post_to: null, // an address that takes answers as text/csv by POST; null: a file is saved
};
